import { type Client, Code, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { problemOf } from "@spillway/client";
import { AuditService } from "@spillway/client/gen/spillway/v1/audit_pb";
import { CatalogService } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { DeadLetterService } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { OpsService } from "@spillway/client/gen/spillway/v1/ops_pb";
import { OrderService } from "@spillway/client/gen/spillway/v1/order_pb";
import { QueryClient } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import type { Session } from "./session.ts";

/** A call may take this long: an audit has 25 s on the server. */
const timeoutMs = 30_000;

/** The services that the console calls, with the session's token. */
export interface Api {
  session: Session;
  audit: Client<typeof AuditService>;
  catalog: Client<typeof CatalogService>;
  deadLetters: Client<typeof DeadLetterService>;
  ops: Client<typeof OpsService>;
  orders: Client<typeof OrderService>;
  transport: Transport;
}

/** Connects to the server of this page. refused is called when it does not accept the token any more. */
export function connectApi(session: Session, refused: (message: string) => void): Api {
  const authorized: Interceptor = (next) => async (req) => {
    req.header.set("Authorization", `Bearer ${session.token}`);
    try {
      return await next(req);
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code === Code.Unauthenticated) refused(problem.message);
      throw error;
    }
  };
  // POST only: an operator who has changed something must not be shown a cache's copy.
  const transport = createConnectTransport({
    baseUrl: location.origin,
    defaultTimeoutMs: timeoutMs,
    interceptors: [authorized],
  });
  return {
    session,
    audit: createClient(AuditService, transport),
    catalog: createClient(CatalogService, transport),
    deadLetters: createClient(DeadLetterService, transport),
    ops: createClient(OpsService, transport),
    orders: createClient(OrderService, transport),
    transport,
  };
}

/** Reads are made again once, if that may help, and are never older than they look: a page reads when it is opened. */
export function newQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { retry: (failures, error) => failures < 1 && problemOf(error).mayPass, staleTime: 0 },
      mutations: { retry: false },
    },
  });
}

const ApiContext = createContext<Api | undefined>(undefined);
export const ApiProvider = ApiContext.Provider;

export function useApi(): Api {
  const api = useContext(ApiContext);
  if (!api) throw new Error("useApi outside of ApiProvider");
  return api;
}
