import { problemOf } from "@spillway/client";
import { QueryClient } from "@tanstack/react-query";

/** A read is made again three times at most, after what the server asks for, and only if its error may pass. */
const maxRetries = 3;
const firstDelayMs = 500;
const maxDelayMs = 10_000;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < maxRetries && problemOf(error).mayPass,
      retryDelay: (failures, error) =>
        problemOf(error).retryDelayMs ?? Math.min(maxDelayMs, firstDelayMs * 2 ** failures),
      staleTime: 10_000,
    },
    mutations: { retry: false },
  },
});
