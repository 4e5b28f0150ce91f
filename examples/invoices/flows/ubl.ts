/** UBL 2.1 Invoice (OASIS, and EN 16931 in Europe): the parts this bridge reads. Prefixes are dropped when it is parsed. */

/** An element with text: plain, or an object when it has attributes. */
export type Text = string | { "#text"?: string; [attribute: `@${string}`]: string };

export interface Party {
  Party: {
    PartyName?: { Name: Text };
    PartyLegalEntity?: { RegistrationName: Text };
    PartyTaxScheme?: { CompanyID: Text }[];
    PostalAddress?: { CityName?: Text; PostalZone?: Text; Country?: { IdentificationCode: Text } };
  };
}

export interface InvoiceLine {
  ID: Text;
  InvoicedQuantity: Text;
  LineExtensionAmount: Text;
  Item: { Name: Text; SellersItemIdentification?: { ID: Text }; ClassifiedTaxCategory?: { Percent: Text } };
  Price: { PriceAmount: Text };
}

/** The plain fields at the head of an invoice. */
export type InvoiceHeader = Record<"ID" | "IssueDate" | "DueDate" | "InvoiceTypeCode" | "DocumentCurrencyCode", Text | undefined>;

export interface Invoice extends InvoiceHeader {
  AccountingSupplierParty: Party;
  AccountingCustomerParty: Party;
  TaxTotal: { TaxAmount: Text }[];
  LegalMonetaryTotal: { LineExtensionAmount: Text; TaxExclusiveAmount: Text; TaxInclusiveAmount: Text; PayableAmount: Text };
  InvoiceLine: InvoiceLine[];
}

/** Elements that are lists, also when there is one. */
export const lists = ["InvoiceLine", "TaxTotal", "TaxSubtotal", "PartyTaxScheme"];

export function text(value: Text | undefined): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : (value["#text"] ?? "");
}

/** Hundredths of an amount such as `1234.5`: sums of money must not be sums of floating-point numbers. */
export function cents(amount: string): bigint {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,2})0*)?$/.exec(amount.trim());
  if (match === null) throw new RangeError(`${JSON.stringify(amount)} is not an amount with up to two decimals`);
  const value = BigInt(match[2] ?? "0") * 100n + BigInt((match[3] ?? "").padEnd(2, "0"));
  return match[1] === "-" ? -value : value;
}
