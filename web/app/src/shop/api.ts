import { createShop, memoryStorage, type Store } from "@spillway/client";

/** localStorage, or memory where the browser forbids it: then a reload forgets the cart and the orders of this guest. */
function browserStore(): Store {
  try {
    localStorage.setItem("spillway.probe", "1");
    localStorage.removeItem("spillway.probe");
    return localStorage;
  } catch {
    return memoryStorage();
  }
}

export const store = browserStore();
export const shop = createShop({ baseUrl: location.origin, store });

/** Whether a session exists: without one there is no cart and no order to ask for. */
export const hasSession = () => store.getItem("spillway.token") !== null;
