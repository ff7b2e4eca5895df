import type { Money } from "./gen/spillway/v1/money_pb.js";

/** An amount in one currency, as messages and their JSON have it. */
export interface Amount {
  currencyCode: string;
  units?: bigint | string | number;
  nanos?: number;
}

const nanosPerUnit = 1_000_000_000n;

const total = (m: Amount): bigint => BigInt(m.units ?? 0) * nanosPerUnit + BigInt(m.nanos ?? 0);

const ofTotal = (currencyCode: string, nanos: bigint): Pick<Money, "currencyCode" | "units" | "nanos"> => ({
  currencyCode,
  units: nanos / nanosPerUnit,
  nanos: Number(nanos % nanosPerUnit),
});

/** The amount as a decimal number without a currency, exactly: "12.99". */
export function toDecimal(m: Amount): string {
  const t = total(m);
  const abs = t < 0n ? -t : t;
  const fraction = (abs % nanosPerUnit).toString().padStart(9, "0").replace(/0+$/, "");
  return `${t < 0n ? "-" : ""}${abs / nanosPerUnit}${fraction && `.${fraction}`}`;
}

/** The amount as people read it: "€12.99". Exact, however large; nothing is computed in floating point. */
export function money(m: Amount | undefined, locale?: string): string {
  if (!m?.currencyCode) return "";
  const format = new Intl.NumberFormat(locale, {
    style: "currency",
    currency: m.currencyCode,
    currencyDisplay: "narrowSymbol",
  });
  // format takes decimal strings; the types of ES2022 do not know that yet.
  return format.format(toDecimal(m) as unknown as number);
}

/** Parses a decimal number, such as "12.99" of a form. It throws a RangeError if it is none, or has more than nine decimals. */
export function moneyOf(currencyCode: string, decimal: string): Pick<Money, "currencyCode" | "units" | "nanos"> {
  const [, sign, units, fraction = ""] = /^(-?)(\d{1,13})(?:\.(\d{1,9}))?$/.exec(decimal.trim()) ?? [];
  if (units === undefined) throw new RangeError(`${decimal} is no amount`);
  const nanos = BigInt(units) * nanosPerUnit + BigInt(fraction.padEnd(9, "0"));
  return ofTotal(currencyCode, sign ? -nanos : nanos);
}

/** Compares two amounts of one currency: negative if a is less. It throws a RangeError if the currencies differ. */
export function compare(a: Amount, b: Amount): number {
  mustMatch(a, b);
  const d = total(a) - total(b);
  return d < 0n ? -1 : d > 0n ? 1 : 0;
}

/** Adds amounts of one currency. */
export function add(a: Amount, b: Amount): Pick<Money, "currencyCode" | "units" | "nanos"> {
  mustMatch(a, b);
  return ofTotal(a.currencyCode, total(a) + total(b));
}

/** Whether the two are the same amount in the same currency. */
export function sameMoney(a: Amount | undefined, b: Amount | undefined): boolean {
  return !!a && !!b && a.currencyCode === b.currencyCode && total(a) === total(b);
}

function mustMatch(a: Amount, b: Amount) {
  if (a.currencyCode !== b.currencyCode) throw new RangeError(`${a.currencyCode} is not ${b.currencyCode}`);
}
