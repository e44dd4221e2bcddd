import { type SubmitEvent, useEffect, useState } from 'react';
import { Api, type ApiProblem, type Me } from '../api';
import { Field, Outcome, ProblemNote } from '../parts';
import { useAction } from '../requests';

interface DemoUser {
  readonly name: string;
  readonly claims: Readonly<Record<string, string | null>>;
}

/** The dashboard is an app of the house, so its own requests are counted and not limited. */
const app = { client_id: 'gatehouse_dashboard', usage_plan: 'internal' };
const demoUsers: readonly DemoUser[] = [
  { name: 'Operator', claims: { ...app, sub: 'user_operator', role: 'operator', practice_id: null } },
  {
    name: 'Scheduling agent of practice_p001',
    claims: { ...app, sub: 'user_agent', role: 'scheduling_agent', practice_id: 'practice_p001' },
  },
];

interface SignInProps {
  /** Why the last session ended, if the API ended it. */
  readonly ended: ApiProblem | undefined;
  readonly onToken: (token: string) => void;
}

export function SignIn({ ended, onToken }: SignInProps) {
  const [token, setToken] = useState('');
  const action = useAction();
  const hasDevIssuer = useDevIssuer();

  const enter = async (candidate: string): Promise<string> => {
    const { userId } = await new Api(candidate).get<Me>('/me');
    onToken(candidate);
    return `Signed in as ${userId}`;
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    action.run(() => enter(token.trim()));
  };
  const enterAs = ({ claims }: DemoUser) =>
    action.run(async () => {
      const answer = await new Api().post<{ access_token: string }>('/dev/tokens', claims);
      return enter(answer.access_token);
    });

  return (
    <main className="alone">
      <title>Sign in · Gatehouse</title>
      <h1>Gatehouse</h1>
      {ended && !action.problem && (
        <>
          <p>Your session has ended:</p>
          <ProblemNote problem={ended} />
        </>
      )}
      <Outcome action={action} />
      <form className="card" onSubmit={submit}>
        <Field label="Access token" hint="Kept in this tab only, and gone when it closes.">
          {(ids) => (
            <textarea
              {...ids}
              required
              rows={4}
              spellCheck={false}
              autoComplete="off"
              value={token}
              onChange={(event) => setToken(event.target.value)}
            />
          )}
        </Field>
        <button type="submit" className="main" disabled={action.busy}>
          Sign in
        </button>
      </form>
      {hasDevIssuer && (
        <section className="card" aria-labelledby="demo-users">
          <h2 id="demo-users">Demo users</h2>
          <p className="small">This server issues its own tokens, for development.</p>
          <div className="stack">
            {demoUsers.map((user) => (
              <button key={user.name} type="button" disabled={action.busy} onClick={() => enterAs(user)}>
                {user.name}
              </button>
            ))}
          </div>
        </section>
      )}
    </main>
  );
}

/** Whether this server is its own issuer: in production nothing answers there. */
function useDevIssuer(): boolean {
  const [found, setFound] = useState(false);
  useEffect(() => {
    const controller = new AbortController();
    new Api().get('/.well-known/openid-configuration', controller.signal).then(
      () => setFound(true),
      () => setFound(false),
    );
    return () => controller.abort();
  }, []);
  return found;
}
