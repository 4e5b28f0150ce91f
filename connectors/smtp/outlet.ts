/** Messages as e-mail, over SMTP. */
import nodemailer, { type Transporter } from "nodemailer";
import type SMTPConnection from "nodemailer/lib/smtp-connection";
import type SMTPPool from "nodemailer/lib/smtp-pool";
import { CodedError } from "#base";
import { type Outgoing, type Outlet, type OutletContext, type OutletDefinition, OutletError } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { Link, unlessAborted } from "../shared/link.ts";
import { readTls, tlsSchema, type TlsConfig } from "../shared/tls.ts";
import { addressOf, checkTemplate, sendableOf, type Sendable, shortId } from "../shared/wire.ts";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface SmtpOutletConfig {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly requireTls: boolean;
  readonly tls?: TlsConfig;
  readonly from: string;
  readonly to: string | readonly string[];
  readonly subject: string;
  readonly replyTo?: string;
  readonly attachment?: string;
  readonly connections: number;
  readonly cloudevents?: CloudEventsConfig;
}

const address = { type: "string", minLength: 1, maxLength: 998, pattern: "^[^\\r\\n]+$", patternErrorMessage: "must be one line" };

export const smtpOutlet: OutletDefinition<SmtpOutletConfig> = {
  name: "smtp",
  summary: "Messages as e-mail, through SMTP.",
  description: `A message counts as sent when the server has accepted it for every recipient; delivery is then up to the mail system.

- **Body**: \`text/plain\` and \`text/html\` become the mail's text; anything else, and everything with \`attachment\`, is attached.
- **Address**: \`from\`, \`to\`, \`subject\` and \`attachment\` may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`, \`{id}\`. A value with a line break,
  and one with a comma in an address, is an error, so that no one else is written to.
- **Idempotency**: \`Message-ID\` is derived from the idempotency key, so a repeated mail can be recognised. Also set: \`X-Mayfly-Id\`,
  \`X-Correlation-Id\`. Headers of the message are not put into the mail.
- **TLS**: \`smtps://\`, or STARTTLS if the server offers it; \`requireTls\` makes it mandatory.
- **Errors**: \`MF_SMTP_UNREACHABLE\`, \`MF_SMTP_AUTH\`, \`MF_SMTP_TLS\`, \`MF_SMTP_LATER\` (a 4xx reply; retried), \`MF_SMTP_REFUSED\` (a 5xx reply: this
  mail will never be accepted; not retried).`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "from", "to", "subject"],
    properties: {
      url: { type: "string", description: "`smtp://user:password@host:587`, or `smtps://host:465`." },
      username: { type: "string", description: "Overrides the one in `url`." },
      password: { type: "string", description: "Overrides the one in `url`." },
      requireTls: { type: "boolean", default: false, description: "Refuse to send anything, including the password, without STARTTLS." },
      tls: tlsSchema,
      from: { ...address, description: "Sender." },
      to: { oneOf: [address, { type: "array", items: address, minItems: 1, maxItems: 100 }], description: "Recipient, or several." },
      subject: { ...address, description: "Subject." },
      replyTo: { ...address, description: "Address for replies." },
      attachment: { ...address, description: "Attach the body under this file name." },
      connections: { type: "integer", minimum: 1, maximum: 20, default: 2, description: "Maximum number of connections to the server." },
      cloudevents: cloudEventsSchema,
    },
  },
  example: `smtp: { url: "\${SMTP_URL}", from: orders@example.com, to: "{header.x-mail}", subject: "Order {key}" }`,
  answers: false,
  create: createSmtpOutlet,
};

interface SmtpSession {
  readonly transport: Transporter<SMTPPool.SentMessageInfo>;
}

function createSmtpOutlet(config: SmtpOutletConfig, context: OutletContext): Outlet {
  const url = parseUrl(config.url, ["smtp:", "smtps:"]);
  const peer = withoutSecrets(config.url);
  for (const template of [config.from, config.subject, config.attachment ?? "", ...recipients(config)]) checkTemplate(template);
  const link = new Link<SmtpSession>({
    context,
    peer,
    explain: (error) => explainSmtp(peer, error),
    async open({ own }) {
      const tls = await readTls(config.tls, context);
      const user = config.username ?? decodeURIComponent(url.username);
      const pass = config.password ?? decodeURIComponent(url.password);
      const transport = nodemailer.createTransport({
        pool: true,
        maxConnections: config.connections,
        host: url.hostname.replace(/^\[|\]$/g, ""),
        port: url.port === "" ? (url.protocol === "smtps:" ? 465 : 587) : Number(url.port),
        secure: url.protocol === "smtps:",
        requireTLS: config.requireTls,
        connectionTimeout: brokerLimits.connectMs,
        greetingTimeout: brokerLimits.connectMs,
        disableFileAccess: true,
        disableUrlAccess: true,
        ...(user === "" ? {} : { auth: { user, pass } }),
        ...(tls === undefined ? {} : { tls }),
      });
      own(transport);
      await transport.verify(); // connects and logs in: a wrong password shows before the first mail
      return { transport };
    },
  });

  return {
    start: () => link.start(),
    async send(message, attempt) {
      const { transport } = link.need();
      const mail = mailOf(config, message, sendableOf(message, attempt, config.cloudevents));
      try {
        const sent = await unlessAborted(attempt.signal, transport.sendMail(mail));
        if (sent.rejected.length > 0) throw new CodedError("MF_SMTP_REFUSED", `${peer} rejected ${sent.rejected.length} of the recipients`);
      } catch (error) {
        throw failed(peer, error);
      }
    },
    health: () => link.health(),
    stop: () => link.stop(),
  };
}

function recipients({ to }: SmtpOutletConfig): readonly string[] {
  return typeof to === "string" ? [to] : to;
}

/** One mailbox and nothing else: no list, no group, no second header. */
const mailbox = /^[^\s,;:<>()[\]\\"]+@[^\s,;:<>()[\]\\"]+$/;
const oneLine = /^[^\u0000-\u001f\u007f]+$/;

function mailOf(config: SmtpOutletConfig, message: Outgoing, sendable: Sendable): Parameters<Transporter["sendMail"]>[0] {
  const { body, contentType } = sendable;
  const content = Buffer.from(body);
  const [, kind] = /^text\/(plain|html)\s*(?:;|$)/i.exec(contentType) ?? [];
  const inline = config.attachment === undefined && kind !== undefined;
  const filename = addressOf(config.attachment ?? "message", message, oneLine);
  const correlation = message.correlationId === undefined ? {} : { "X-Correlation-Id": message.correlationId };
  return {
    from: addressOf(config.from, message, mailbox),
    to: recipients(config).map((to) => addressOf(to, message, mailbox)),
    subject: addressOf(config.subject, message, oneLine),
    ...(config.replyTo === undefined ? {} : { replyTo: config.replyTo }),
    messageId: `<${shortened(sendable.id)}@mayfly>`,
    date: new Date(message.timeMs),
    headers: { "X-Mayfly-Id": sendable.id, ...correlation },
    ...(inline
      ? { [kind.toLowerCase() === "html" ? "html" : "text"]: content }
      : { text: "", attachments: [{ filename, content, contentType }] }),
  };
}

/** The left side of a Message-ID (RFC 5322, 3.6.4): the id if it is allowed there, otherwise its hash. */
function shortened(id: string): string {
  return /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}$/.test(id) ? id : shortId(`${id}${" ".repeat(200)}`, 64);
}

function explainSmtp(peer: string, error: unknown): CodedError {
  const code = codeOf(error);
  const message = messageOf(error);
  if (code === "EAUTH" || code === "ENOAUTH")
    return new CodedError("MF_SMTP_AUTH", `${peer} rejected the login: check url, username and password`, { cause: error });
  if (code === "ETLS") return new CodedError("MF_SMTP_TLS", `${peer}: no TLS: ${message}`, { cause: error });
  return explainNetwork("SMTP", peer, error);
}

function failed(peer: string, error: unknown): OutletError {
  if (error instanceof OutletError) return error;
  const reply = (error as SMTPConnection.SMTPError).responseCode;
  const { code, message } = explainSmtp(peer, error);
  if (code === "MF_SMTP_REFUSED") return new OutletError(code, message, { retryable: false, cause: error });
  if (reply === undefined || code === "MF_SMTP_AUTH") return new OutletError(code, message, { retryable: true, cause: error });
  const final = reply >= 500;
  const text = `${peer} answered ${messageOf(error)}`;
  return new OutletError(final ? "MF_SMTP_REFUSED" : "MF_SMTP_LATER", text, { retryable: !final, status: reply, cause: error });
}
