/** What the customer fills in. */
export interface Details {
  email: string;
  name: string;
  street: string;
  city: string;
  region: string;
  postalCode: string;
  countryCode: string;
  number: string;
  expiry: string;
  cvv: string;
  payLater: boolean;
}

export const emptyDetails: Details = {
  email: "",
  name: "",
  street: "",
  city: "",
  region: "",
  postalCode: "",
  countryCode: "DE",
  number: "",
  expiry: "",
  cvv: "",
  payLater: false,
};

export const COUNTRIES = (
  "AT AU BE BG BR CA CH CN CZ DE DK EE ES FI FR GB GR HK HR HU IE IL IN IS IT JP KR LT LU LV MT MX MY NL NO NZ PH PL PT RO " +
  "SE SG SI SK TH TR TW US ZA"
).split(" ");

export const addressOf = (d: Details) => ({
  name: d.name.trim(),
  street: d.street.trim(),
  city: d.city.trim(),
  region: d.region.trim(),
  postalCode: d.postalCode.trim(),
  countryCode: d.countryCode,
});

/** The parts of PlaceOrderRequest that the form has, without the card. */
export const requestOf = (d: Details) => ({ email: d.email.trim(), shippingAddress: addressOf(d) });

/** The card of the form: "01/30" and "1 / 2030" are January 2030. */
export function cardOf({ number, expiry, cvv }: Pick<Details, "number" | "expiry" | "cvv">) {
  const [, month = "0", year = "0"] = /^\s*(\d{1,2})\s*\/\s*(\d{2}|\d{4})\s*$/.exec(expiry) ?? [];
  return {
    number: number.trim(),
    cvv: cvv.trim(),
    expiryMonth: Number(month),
    expiryYear: Number(year) + (year.length === 2 ? 2000 : 0),
  };
}

/** Numbers of the simulated payment provider, and the keys of the texts of what each does. */
export const TEST_CARDS: readonly (readonly [string, string])[] = [
  ["4242 4242 4242 4242", "success"],
  ["4000 0000 0000 0077", "slow"],
  ["4000 0000 0000 0002", "declined"],
  ["4000 0000 0000 9995", "insufficient"],
  ["4000 0000 0000 0259", "noAnswer"],
  ["4000 0000 0000 0341", "answerLost"],
];

const item = "spillway.details";

interface Items {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** The address that was kept on this device; never a card. */
export function storedDetails(store: Items): Details {
  try {
    const stored: Partial<Details> = JSON.parse(store.getItem(item) ?? "{}");
    const kept = Object.fromEntries(
      Object.entries(stored).filter(([k, v]) => k in emptyDetails && typeof v === "string"),
    );
    return { ...emptyDetails, ...kept, number: "", expiry: "", cvv: "" };
  } catch {
    return emptyDetails;
  }
}

export function keepDetails(store: Items, details: Details) {
  const { number: _n, expiry: _e, cvv: _c, payLater: _p, ...rest } = details;
  store.setItem(item, JSON.stringify(rest));
}
