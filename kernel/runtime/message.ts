/** The message a machine was started for. There is one for each machine, so there is one object, built at boot. */
import type { Message as PublicMessage } from "./api.d.ts";
import { Content } from "./content.ts";
import { FlowError } from "./errors.ts";
import { native } from "./machine.ts";
import { deliverPart } from "./wire.ts";

export class Message extends Content implements PublicMessage {
  private heldId: string | undefined;
  private heldSource: string | undefined;
  private heldAttempt = 0;
  private heldKey: string | undefined | null = null;

  protected get bodyPart(): number {
    return deliverPart.body;
  }

  protected get headersPart(): number {
    return deliverPart.headers;
  }

  get id(): string {
    return (this.heldId ??= native.text(deliverPart.id) ?? "");
  }

  get source(): string {
    return (this.heldSource ??= native.text(deliverPart.source) ?? "");
  }

  get attempt(): number {
    if (this.heldAttempt === 0) this.heldAttempt = native.number(deliverPart.attempt);
    return this.heldAttempt;
  }

  get key(): string | undefined {
    if (this.heldKey === null) this.heldKey = native.text(deliverPart.key);
    return this.heldKey;
  }

  protected get what(): string {
    return "the message";
  }

  protected refusal(sentence: string, cause: unknown): FlowError {
    return new FlowError("MF_MESSAGE_INVALID", sentence, false, 400, cause);
  }

  override hold(): void {
    void this.id;
    void this.source;
    void this.attempt;
    void this.key;
    super.hold();
  }

  /** What `JSON.stringify(msg)` and the log show. */
  toJSON(): object {
    return { id: this.id, source: this.source, attempt: this.attempt, key: this.key, headers: this.headers, bytes: this.bytes.length };
  }
}

export const message: Message = new Message();
