import { type ComponentType, useCallback, useEffect, useMemo, useState } from 'react';
import { Api, type ApiProblem, type Me, problemOf } from './api';
import { AppUsage } from './pages/app-usage';
import { DeadLetters } from './pages/dead-letters';
import { NotFound } from './pages/not-found';
import { Overview } from './pages/overview';
import { Revocations } from './pages/revocations';
import { SignIn } from './pages/sign-in';
import { UsagePlans } from './pages/usage-plans';
import { ProblemNote } from './parts';
import { Link, usePath } from './router';
import { keptToken, SessionContext, useSession } from './session';

/** The table of contents; a new page is one line. */
const pages: readonly { readonly path: string; readonly name: string; readonly page: ComponentType }[] = [
  { path: '/', name: 'Overview', page: Overview },
  { path: '/dead-letters', name: 'Dead letters', page: DeadLetters },
  { path: '/revocations', name: 'Revocations', page: Revocations },
  { path: '/usage-plans', name: 'Usage plans', page: UsagePlans },
  { path: '/app-usage', name: 'App usage', page: AppUsage },
];

export function App() {
  const [token, setToken] = useState(keptToken.read);
  const [ended, setEnded] = useState<ApiProblem>();

  const signIn = useCallback((accepted: string) => {
    keptToken.write(accepted);
    setEnded(undefined);
    setToken(accepted);
  }, []);
  const signOut = useCallback((why?: ApiProblem) => {
    keptToken.forget();
    setEnded(why);
    setToken(undefined);
  }, []);

  if (token === undefined) return <SignIn ended={ended} onToken={signIn} />;
  return <SignedIn key={token} token={token} signOut={signOut} />;
}

interface SignedInProps {
  readonly token: string;
  readonly signOut: (why?: ApiProblem) => void;
}

function SignedIn({ token, signOut }: SignedInProps) {
  const api = useMemo(() => new Api(token, signOut), [token, signOut]);
  const [me, setMe] = useState<Me>();
  const [problem, setProblem] = useState<ApiProblem>();

  useEffect(() => {
    const controller = new AbortController();
    api.get<Me>('/me', controller.signal).then(setMe, (error: unknown) => {
      if (!controller.signal.aborted) setProblem(problemOf(error));
    });
    return () => controller.abort();
  }, [api]);

  const session = useMemo(() => me && { api, me, signOut: () => signOut() }, [api, me, signOut]);
  if (problem) {
    return (
      <main className="alone">
        <h1>Gatehouse</h1>
        <ProblemNote problem={problem} />
        <button type="button" onClick={() => signOut()}>
          Sign in again
        </button>
      </main>
    );
  }
  if (!session) return <main className="alone quiet">Checking the token…</main>;
  return (
    <SessionContext value={session}>
      <Shell />
    </SessionContext>
  );
}

function Shell() {
  const { me, signOut } = useSession();
  const path = usePath();
  const Current = pages.find((page) => page.path === path)?.page ?? NotFound;
  return (
    <div className="shell">
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="bar">
        <span className="brand">Gatehouse</span>
        <nav aria-label="Pages">
          {pages.map((page) => (
            <Link key={page.path} to={page.path} aria-current={page.path === path ? 'page' : undefined}>
              {page.name}
            </Link>
          ))}
        </nav>
        <div className="who">
          <span>
            {me.userId}
            <span className="small">{me.role ?? 'no role'}</span>
          </span>
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <Current key={path} />
      </main>
    </div>
  );
}
