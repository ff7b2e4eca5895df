import { useQuery } from "@connectrpc/connect-query";
import { CartService } from "@spillway/client/gen/spillway/v1/cart_pb";
import { CurrencyService } from "@spillway/client/gen/spillway/v1/currency_pb";
import { type FormEvent, useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { LANGUAGES, type Language, languageItem, setLanguage, useTranslation } from "../i18n/index.js";
import { applyTheme, THEMES } from "../ui/theme.js";
import { hasSession, store } from "./api.js";
import { useSettings } from "./settings.js";

export function Header() {
  const { t } = useTranslation();
  return (
    <header className="header">
      <div className="bar">
        <Link href="/" className="brand">
          <img src="/static/icon.svg" alt="" width="28" height="28" />
          Spillway
        </Link>
        <SearchBox />
        <nav aria-label={t("nav.label")}>
          <Link href="/orders">{t("nav.orders")}</Link>
          <CartLink />
        </nav>
      </div>
      <div className="bar choices">
        <CurrencyChoice />
        <LanguageChoice />
        <ThemeChoice />
      </div>
    </header>
  );
}

function SearchBox() {
  const { t } = useTranslation();
  const [, go] = useLocation();
  const [params] = useSearchParams();
  const [text, setText] = useState(params.get("q") ?? "");
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (text.trim()) go(`/search?q=${encodeURIComponent(text.trim())}`);
  };
  return (
    <search>
      <form onSubmit={submit} className="search">
        <input
          type="search"
          maxLength={100}
          value={text}
          onChange={(e) => setText(e.target.value)}
          aria-label={t("nav.search")}
          placeholder={t("nav.search")}
        />
        <button type="submit">{t("nav.find")}</button>
      </form>
    </search>
  );
}

/** The cart. It is asked for only once there is a session. */
export function useCart(intervalMs: number | false = false) {
  const { currency } = useSettings();
  return useQuery(
    CartService.method.getCart,
    { currencyCode: currency },
    { enabled: hasSession(), refetchInterval: intervalMs },
  );
}

function CartLink() {
  const { t } = useTranslation();
  const cart = useCart();
  const count = (cart.data?.cart?.items ?? []).reduce((n, i) => n + i.quantity, 0);
  return (
    <Link href="/cart">
      {t("nav.cart")}
      {count > 0 && <span className="count">{count}</span>}
    </Link>
  );
}

function CurrencyChoice() {
  const { t } = useTranslation();
  const { currency, setCurrency } = useSettings();
  const { data } = useQuery(CurrencyService.method.getSupportedCurrencies, {}, { staleTime: 3_600_000 });
  const codes = data?.currencyCodes.length ? data.currencyCodes : [currency];
  return (
    <label>
      <span>{t("nav.currency")}</span>
      <select value={currency} onChange={(e) => setCurrency(e.target.value)}>
        {codes.map((c) => (
          <option key={c}>{c}</option>
        ))}
      </select>
    </label>
  );
}

function LanguageChoice() {
  const { t, language } = useTranslation();
  return (
    <label>
      <span>{t("nav.language")}</span>
      <select
        value={language}
        onChange={(e) => {
          store.setItem(languageItem, e.target.value);
          void setLanguage(e.target.value as Language);
        }}
      >
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code} lang={code}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function ThemeChoice() {
  const { t } = useTranslation();
  const [theme, setTheme] = useState(() => applyTheme(store.getItem("spillway.theme")));
  return (
    <label>
      <span>{t("nav.theme")}</span>
      <select
        value={theme}
        onChange={(e) => {
          store.setItem("spillway.theme", e.target.value);
          setTheme(applyTheme(e.target.value));
        }}
      >
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {t(`theme.${name}`)}
          </option>
        ))}
      </select>
    </label>
  );
}
