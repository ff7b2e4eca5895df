import { i18n, type Messages } from "@lingui/core";
import { I18nProvider, useLingui } from "@lingui/react";
import type { ReactNode } from "react";

export const LANGUAGES = { en: "English", "zh-CN": "简体中文" } as const;
export type Language = keyof typeof LANGUAGES;

/** Where the choice is kept. */
export const languageItem = "spillway.language";

type Texts = () => Promise<{ default: object }>;

/** The texts of the first page, and those of the others, which come with the first of them. The build compiles them (texts.ts). */
const first: Record<Language, Texts> = { en: () => import("./en.json"), "zh-CN": () => import("./zh-CN.json") };
const more: Record<Language, Texts> = {
  en: () => import("./en.more.json"),
  "zh-CN": () => import("./zh-CN.more.json"),
};
let wantsMore = false;

const isLanguage = (l: string | null): l is Language => l !== null && l in LANGUAGES;

/** The language that was chosen before, otherwise the browser's if there is one, otherwise English. */
export function preferred(stored: string | null, browser: readonly string[]): Language {
  if (isLanguage(stored)) return stored;
  for (const l of browser) {
    if (l.toLowerCase().startsWith("zh")) return "zh-CN";
    if (l.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}

async function load(language: Language, texts: Texts) {
  i18n.load(language, (await texts()).default as Messages);
}

/** Switches the page to the language, whose texts are loaded. */
export async function setLanguage(language: Language): Promise<void> {
  await Promise.all([load(language, first[language]), wantsMore && load(language, more[language])]);
  i18n.activate(language);
  document.documentElement.lang = language;
}

/** Loads the texts that the first page does not need. */
export async function loadMore(): Promise<void> {
  wantsMore = true;
  await load(i18n.locale as Language, more[i18n.locale as Language]);
}

export function Texts({ children }: { children: ReactNode }) {
  return <I18nProvider i18n={i18n}>{children}</I18nProvider>;
}

/** Values for the placeholders of a text. */
export type Values = Record<string, string | number>;
export type Translate = (key: string | readonly string[], values?: Values) => string;

/** The text of a key, of several keys the first that has one. */
export const translate: Translate = (key, values) => {
  const keys = typeof key === "string" ? [key] : key;
  const known = keys.find((k) => k in i18n.messages) ?? keys[keys.length - 1] ?? "";
  return i18n._(known, values);
};

/** The texts of the page's language; a change of it renders anew. */
export function useTranslation(): { t: Translate; language: Language } {
  const { i18n } = useLingui();
  return { t: translate, language: i18n.locale as Language };
}
