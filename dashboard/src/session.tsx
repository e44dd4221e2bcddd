import { createContext, useContext } from 'react';
import type { Api, Me } from './api';

/** Who is signed in, and the API with their token. */
export interface Session {
  readonly api: Api;
  readonly me: Me;
  readonly signOut: () => void;
}

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error('Only pages behind the sign-in have a session');
  return session;
}

const key = 'gatehouse.token';

/** The token lives as long as the tab, and nowhere else. */
export const keptToken = {
  read: (): string | undefined => sessionStorage.getItem(key) ?? undefined,
  write: (token: string): void => sessionStorage.setItem(key, token),
  forget: (): void => sessionStorage.removeItem(key),
};
