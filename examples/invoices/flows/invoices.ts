import { fail, flow } from "mayfly";
import { cents, type Invoice, lists, type Party, type Text, text } from "./ubl.ts";

function refuse(message: string): never {
  fail(message, { code: "INVOICE_INVALID", retry: false, status: 422 });
}

function amount(value: Text | undefined, what: string): bigint {
  try {
    return cents(text(value));
  } catch (error) {
    return refuse(`${what}: ${(error as Error).message}`);
  }
}

function party({ Party: { PartyName, PartyLegalEntity, PartyTaxScheme, PostalAddress } }: Party) {
  return {
    name: text(PartyLegalEntity?.RegistrationName ?? PartyName?.Name),
    vatId: text(PartyTaxScheme?.[0]?.CompanyID),
    city: text(PostalAddress?.CityName),
    country: text(PostalAddress?.Country?.IdentificationCode),
  };
}

/** UBL invoices in, the accounting system's JSON out. Amounts stay text: they are exact, and JSON's numbers are not. */
export default flow<"accounting">((msg, { to, log }) => {
  const { Invoice: invoice } = msg.xml<{ Invoice?: Invoice }>({ removePrefixes: true, arrays: lists });
  if (invoice?.InvoiceLine === undefined) return refuse("the document is not a UBL Invoice with lines");
  const number = text(invoice.ID);
  const totals = invoice.LegalMonetaryTotal;

  const lines = invoice.InvoiceLine.map((line) => ({
    id: text(line.ID),
    sku: text(line.Item.SellersItemIdentification?.ID),
    name: text(line.Item.Name),
    quantity: text(line.InvoicedQuantity),
    price: text(line.Price.PriceAmount),
    net: text(line.LineExtensionAmount),
    vatPercent: text(line.Item.ClassifiedTaxCategory?.Percent),
  }));

  // EN 16931: BR-CO-10 and BR-CO-15.
  const sum = lines.reduce((total, line) => total + amount(line.net, `line ${line.id}`), 0n);
  if (sum !== amount(totals.LineExtensionAmount, "LineExtensionAmount"))
    refuse(`invoice ${number}: the lines do not add up to LineExtensionAmount`);
  const gross = amount(totals.TaxExclusiveAmount, "TaxExclusiveAmount") + amount(invoice.TaxTotal[0]?.TaxAmount, "TaxAmount");
  if (gross !== amount(totals.TaxInclusiveAmount, "TaxInclusiveAmount"))
    refuse(`invoice ${number}: net and tax do not add up to TaxInclusiveAmount`);

  const out = {
    number,
    issued: text(invoice.IssueDate),
    due: text(invoice.DueDate),
    type: text(invoice.InvoiceTypeCode) === "381" ? "credit note" : "invoice",
    currency: text(invoice.DocumentCurrencyCode),
    seller: party(invoice.AccountingSupplierParty),
    buyer: party(invoice.AccountingCustomerParty),
    lines,
    net: text(totals.TaxExclusiveAmount),
    tax: text(invoice.TaxTotal[0]?.TaxAmount),
    payable: text(totals.PayableAmount),
  };
  log.info("invoice bridged", { number, lines: lines.length, payable: out.payable });
  to.accounting.send(out, { key: out.seller.vatId });
  return { number, lines: lines.length };
});
