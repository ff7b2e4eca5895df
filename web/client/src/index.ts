// The typed client of the Spillway API, for browsers and Node.

export { type Problem, problemOf, REASONS, type Reason } from "./errors.js";
export { type Attempt, OrderKeys, type OrderKeysOptions } from "./keys.js";
export { add, compare, money, moneyOf, sameMoney, toDecimal } from "./money.js";
export { Orders, type Placed, type PlaceOptions } from "./place.js";
export { plain } from "./plain.js";
export { type RetryOptions, retrying, type Wait } from "./retry.js";
export { createShop, type Shop, type ShopOptions } from "./shop.js";
export { memoryStorage, type Store } from "./store.js";
export { clockOffset, formatTime, toDate } from "./time.js";
export { type WatchOptions, watch } from "./watch.js";
