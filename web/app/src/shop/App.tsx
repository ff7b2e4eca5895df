import { lazy, Suspense, useEffect, useRef } from "react";
import { Route, Switch, useLocation } from "wouter";
import { loadMore, useTranslation } from "../i18n/index.js";
import { Boundary } from "../ui/Boundary.js";
import { Header } from "./Header.js";
import { SettingsProvider } from "./settings.js";

// The paths are those of shopPaths in server/pages.go. Each page is loaded when it is first shown.
const Home = lazy(() => import("./home/Home.js"));
const Search = lazy(() => import("./home/Search.js"));
const Category = lazy(() => import("./home/Category.js"));
const Product = lazy(() => withTexts(import("./product/Product.js")));
const Cart = lazy(() => withTexts(import("./cart/Cart.js")));
const Checkout = lazy(() => withTexts(import("./checkout/Checkout.js")));
const Order = lazy(() => withTexts(import("./order/Order.js")));
const Orders = lazy(() => withTexts(import("./orders/Orders.js")));
const Sale = lazy(() => withTexts(import("./sale/Sale.js")));
const Lost = lazy(() => import("./home/Lost.js"));

/** A page with the texts that the first page does not have. */
async function withTexts<T>(page: Promise<T>): Promise<T> {
  await loadMore();
  return page;
}

export function App() {
  const { t } = useTranslation();
  return (
    <SettingsProvider>
      <a className="skip" href="#main">
        {t("nav.skip")}
      </a>
      <Header />
      <Page />
      <footer className="footer">{t("footer")}</footer>
    </SettingsProvider>
  );
}

/** The main part. A new path moves the keyboard's focus to it, and the view to its top, as a loaded page would. */
function Page() {
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);
  useEffect(() => {
    if (shown.current === path) return;
    shown.current = path;
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      <Boundary key={path}>
        <Suspense fallback={<Loading />}>
          <Switch>
            <Route path="/" component={Home} />
            <Route path="/search" component={Search} />
            <Route path="/category/:category" component={Category} />
            <Route path="/product/:sku" component={Product} />
            <Route path="/sale/:sku" component={Sale} />
            <Route path="/cart" component={Cart} />
            <Route path="/checkout" component={Checkout} />
            <Route path="/orders" component={Orders} />
            <Route path="/orders/:id" component={Order} />
            <Route component={Lost} />
          </Switch>
        </Suspense>
      </Boundary>
    </main>
  );
}

export function Loading() {
  const { t } = useTranslation();
  return (
    <p className="loading" role="status">
      {t("loading")}
    </p>
  );
}
