import { Link, useRoute } from "wouter";
import { useFeed } from "../flow/useFeed.tsx";
import { LAB, NAVIGATION } from "../routes.tsx";
import { count } from "./format.ts";
import type { Session } from "./session.ts";
import { useSettings } from "./settings.ts";
import { useTheme } from "./theme.ts";

/** The name, the pages, and who uses them. */
export function Header({ session, leave }: { session: Session; leave: () => void }) {
  const [theme, nextTheme] = useTheme();
  const { loadLab } = useSettings();
  const letters = useFeed().pipeline?.deadLetters?.count ?? 0n;
  return (
    <header>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <strong className="brand">
        <img src="/static/icon.svg" alt="" width={22} height={22} /> Spillway console
      </strong>
      <nav aria-label="Pages">
        {(loadLab ? [...NAVIGATION, LAB] : NAVIGATION).map(({ path, name }) => (
          <NavLink
            key={path}
            path={path}
            name={name}
            badge={path === "/dead-letters" && letters > 0n ? count(letters) : undefined}
          />
        ))}
      </nav>
      <div className="who">
        <span>
          {session.operator}
          {!session.canChange && (
            <span
              className="pill"
              title="The token does not have the role operator: what would change something is left out."
            >
              read only
            </span>
          )}
        </span>
        <button type="button" onClick={nextTheme}>
          Colours: {theme}
        </button>
        <button type="button" onClick={leave}>
          Log out
        </button>
      </div>
    </header>
  );
}

function NavLink({ path, name, badge }: { path: string; name: string; badge?: string }) {
  const [exact] = useRoute(path);
  const [below] = useRoute(`${path}/*`);
  const here = path === "/" ? exact : exact || below;
  return (
    <Link href={path} aria-current={here ? "page" : undefined}>
      {name}
      {badge && (
        <span className="badge">
          {badge}
          <span className="hidden"> open</span>
        </span>
      )}
    </Link>
  );
}
