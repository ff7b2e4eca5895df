import { TransportProvider } from "@connectrpc/connect-query";
import { QueryClientProvider } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Route, Router, Switch, useLocation } from "wouter";
import { FeedProvider } from "../flow/useFeed.tsx";
import { ROUTES } from "../routes.tsx";
import { ApiProvider, connectApi, newQueries } from "./api.tsx";
import { Header } from "./Header.tsx";
import { Login } from "./Login.tsx";
import { Page } from "./Page.tsx";
import { PrivacyProvider } from "./Private.tsx";
import { closeSession, openSession, type Session, storeSession } from "./session.ts";

/** The console, once an operator has logged in. */
export function App() {
  const [session, setSession] = useState(openSession);
  const [refused, setRefused] = useState<string>();
  const enter = (s: Session) => {
    storeSession(s);
    setRefused(undefined);
    setSession(s);
  };
  const leave = (reason?: string) => {
    closeSession();
    setRefused(reason);
    setSession(undefined);
  };
  if (!session) return <Login refused={refused} onSession={enter} />;
  return <Console key={session.token} session={session} leave={leave} />;
}

function Console({ session, leave }: { session: Session; leave: (reason?: string) => void }) {
  // One connection a login: leave is another function at each rendering, and does the same.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above.
  const api = useMemo(() => connectApi(session, leave), [session]);
  const [queries] = useState(newQueries);
  return (
    <ApiProvider value={api}>
      <TransportProvider transport={api.transport}>
        <QueryClientProvider client={queries}>
          <FeedProvider>
            <Router base="/ops">
              <Header session={session} leave={() => leave()} />
              <Pages />
            </Router>
          </FeedProvider>
        </QueryClientProvider>
      </TransportProvider>
    </ApiProvider>
  );
}

function Pages() {
  const [path] = useLocation();
  return (
    <PrivacyProvider key={path}>
      <Switch>
        {ROUTES.map(({ path, page: Content }) => (
          <Route key={path} path={path} component={Content} />
        ))}
        <Route>
          <Page title="Not found">
            <p>The console has no such page.</p>
          </Page>
        </Route>
      </Switch>
    </PrivacyProvider>
  );
}
