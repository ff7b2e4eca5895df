import { type FormEvent, useState } from "react";
import { Field } from "./Dialog.tsx";
import { parseToken, type Session } from "./session.ts";

/** Takes an operator's token. `make run` prints a link that carries one. */
export function Login({ refused, onSession }: { refused?: string; onSession: (session: Session) => void }) {
  const [token, setToken] = useState("");
  const [error, setError] = useState<string>();
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const session = parseToken(token);
    if (session) onSession(session);
    else setError("This is no token: it has three parts with dots between them.");
  };
  return (
    <main id="main" className="login card">
      <h1>Spillway console</h1>
      {refused && (
        <p className="notice bad" role="alert">
          The server refused the token: {refused}.
        </p>
      )}
      <p>
        Open the link that <code>make run</code> prints, or paste an operator's token. This makes one, beside the data
        of the shop:
      </p>
      <pre>bin/spillway token --customer me --role operator</pre>
      <form onSubmit={submit}>
        <Field label="Token" hint="It is kept in this tab only." error={error}>
          {(props) => (
            <input
              {...props}
              type="password"
              autoComplete="off"
              spellCheck={false}
              required
              value={token}
              onChange={(e) => setToken(e.target.value)}
            />
          )}
        </Field>
        <button type="submit" className="primary">
          Log in
        </button>
      </form>
    </main>
  );
}
