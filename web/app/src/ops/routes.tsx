import type { ComponentType } from "react";
import { Books } from "./books/Books.tsx";
import { Catalogue } from "./catalogue/Catalogue.tsx";
import { ProductPage } from "./catalogue/ProductPage.tsx";
import { DeadLetterPage } from "./deadletters/DeadLetterPage.tsx";
import { DeadLetters } from "./deadletters/DeadLetters.tsx";
import { Flow } from "./flow/Flow.tsx";
import { Lab } from "./lab/Lab.tsx";
import { OrderPage } from "./orders/OrderPage.tsx";
import { Orders } from "./orders/Orders.tsx";
import { Stock } from "./stock/Stock.tsx";

/** The pages of the console, by their paths after /ops. */
export const ROUTES: { path: string; page: ComponentType }[] = [
  { path: "/", page: Flow },
  { path: "/orders", page: Orders },
  { path: "/orders/:id", page: OrderPage },
  { path: "/dead-letters", page: DeadLetters },
  { path: "/dead-letters/:id", page: DeadLetterPage },
  { path: "/stock", page: Stock },
  { path: "/catalogue", page: Catalogue },
  { path: "/catalogue/new", page: ProductPage },
  { path: "/catalogue/:sku", page: ProductPage },
  { path: "/books", page: Books },
  { path: "/lab", page: Lab },
];

/** The pages that the header names. */
export const NAVIGATION: { path: string; name: string }[] = [
  { path: "/", name: "Flow" },
  { path: "/orders", name: "Orders" },
  { path: "/dead-letters", name: "Dead letters" },
  { path: "/stock", name: "Stock" },
  { path: "/catalogue", name: "Catalogue" },
  { path: "/books", name: "Books" },
];

/** Only a shop for development has it. */
export const LAB = { path: "/lab", name: "Load lab" };
