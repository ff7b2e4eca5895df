import { type ReactNode, useId } from "react";
import { useTranslation } from "../../i18n/index.js";
import { useLocale, useServer } from "../settings.js";
import { COUNTRIES, type Details, TEST_CARDS } from "./details.js";

interface Props {
  details: Details;
  change: (change: Partial<Details>) => void;
  /** The fields to mark, by their paths in the request. */
  invalid: ReadonlySet<string>;
}

export function DetailsForm(props: Props) {
  return (
    <>
      <AddressFields {...props} />
      <PaymentFields {...props} />
    </>
  );
}

function AddressFields(props: Props) {
  const { t } = useTranslation();
  const { details, change } = props;
  const locale = useLocale();
  const regions = new Intl.DisplayNames(locale, { type: "region" });
  const countries = COUNTRIES.map((code) => [code, regions.of(code) ?? code] as const);
  countries.sort(([, a], [, b]) => a.localeCompare(b, locale));
  return (
    <fieldset>
      <legend>{t("form.address")}</legend>
      <Field {...props} field="email" path="email" type="email" autoComplete="email" />
      <Field {...props} field="name" path="shipping_address.name" autoComplete="name" />
      <Field {...props} field="street" path="shipping_address.street" autoComplete="street-address" />
      <div className="pair">
        <Field {...props} field="postalCode" path="shipping_address.postal_code" autoComplete="postal-code" />
        <Field {...props} field="city" path="shipping_address.city" autoComplete="address-level2" />
      </div>
      <div className="pair">
        <Field {...props} field="region" path="shipping_address.region" autoComplete="address-level1" />
        <label className="field">
          <span>{t("form.countryCode")}</span>
          <select
            value={details.countryCode}
            autoComplete="country"
            onChange={(e) => change({ countryCode: e.target.value })}
          >
            {countries.map(([code, name]) => (
              <option key={code} value={code}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
    </fieldset>
  );
}

function PaymentFields(props: Props) {
  const { t } = useTranslation();
  const { details, change } = props;
  return (
    <fieldset>
      <legend>{t("form.payment")}</legend>
      <label className="choice">
        <input type="radio" name="pay" checked={!details.payLater} onChange={() => change({ payLater: false })} />
        {t("form.payNow")}
      </label>
      <label className="choice">
        <input type="radio" name="pay" checked={details.payLater} onChange={() => change({ payLater: true })} />
        {t("form.payLater")}
      </label>
      {!details.payLater && <CardFields {...props} />}
    </fieldset>
  );
}

export function CardFields(props: Omit<Props, "details"> & { details: Pick<Details, "number" | "expiry" | "cvv"> }) {
  const { t } = useTranslation();
  const server = useServer();
  return (
    <>
      <Field {...props} field="number" path="card.number" inputMode="numeric" autoComplete="cc-number" />
      <div className="pair">
        <Field {...props} field="expiry" path="card.expiry_month" placeholder="01/30" autoComplete="cc-exp" />
        <Field {...props} field="cvv" path="card.cvv" inputMode="numeric" autoComplete="cc-csc" />
      </div>
      {server.data?.testCards && (
        <details className="testcards">
          <summary>{t("form.testCards")}</summary>
          <ul>
            {TEST_CARDS.map(([number, outcome]) => (
              <li key={number}>
                <button type="button" onClick={() => props.change({ number, expiry: "01/30", cvv: "123" })}>
                  {number}
                </button>
                <span>{t(`testCard.${outcome}`)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

interface FieldProps<F extends string> {
  details: Record<F, string>;
  change: (change: Partial<Details>) => void;
  invalid: ReadonlySet<string>;
  field: F;
  path: string;
  type?: string;
  inputMode?: "numeric";
  placeholder?: string;
  autoComplete: string;
  children?: ReactNode;
}

/** One labelled input, with the sentence about what is wrong with it. */
function Field<F extends string>({ details, change, invalid, field, path, ...input }: FieldProps<F>) {
  const { t } = useTranslation();
  const id = useId();
  // The expiry is two fields of the request.
  const bad = invalid.has(path) || (path === "card.expiry_month" && invalid.has("card.expiry_year"));
  return (
    <div className="field">
      <label htmlFor={id}>{t(`form.${field}`)}</label>
      <input
        id={id}
        value={details[field]}
        aria-invalid={bad}
        aria-describedby={bad ? `${id}-error` : undefined}
        onChange={(e) => change({ [field]: e.target.value })}
        {...input}
      />
      {bad && (
        <span className="fielderror" id={`${id}-error`}>
          {t(`form.invalid.${field}`)}
        </span>
      )}
    </div>
  );
}
