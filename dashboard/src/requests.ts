import { useCallback, useEffect, useState } from 'react';
import { type ApiProblem, type Page, problemOf } from './api';
import { useSession } from './session';

export interface Resource<Body> {
  /** The latest answer; kept while the next one is awaited. */
  readonly data: Body | undefined;
  readonly problem: ApiProblem | undefined;
  readonly loading: boolean;
  readonly reload: () => void;
}

/** What `path` answers now, never what another path answered; asked again on `reload`, and every `everyMs` if given. */
export function useResource<Body>(path: string, everyMs?: number): Resource<Body> {
  const { api } = useSession();
  const unasked = { path, data: undefined, problem: undefined, loading: true };
  const [state, setState] = useState<Omit<Resource<Body>, 'reload'> & { readonly path: string }>(unasked);
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((last) => last + 1), []);

  useEffect(() => {
    const controller = new AbortController();
    setState((last) => ({
      ...(last.path === path ? last : { path, data: undefined, problem: undefined }),
      loading: true,
    }));
    api.get<Body>(path, controller.signal).then(
      (data) => setState({ path, data, problem: undefined, loading: false }),
      (error: unknown) => {
        if (!controller.signal.aborted) setState({ path, data: undefined, problem: problemOf(error), loading: false });
      },
    );
    return () => controller.abort();
  }, [api, path, round]);

  useEffect(() => {
    if (everyMs === undefined) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);

  // Drawn once before the effect has asked: a table of the other path under this one's name would be a lie, however short.
  const { data, problem, loading } = state.path === path ? state : unasked;
  return { data, problem, loading, reload };
}

export interface List<Item> {
  /** `undefined` until the first page is here. */
  readonly items: readonly Item[] | undefined;
  readonly problem: ApiProblem | undefined;
  readonly loading: boolean;
  readonly hasMore: boolean;
  /** Starts again at the first page. */
  readonly reload: () => void;
  /** Adds the next page. */
  readonly more: () => void;
  /** Changes what is shown, without asking again. */
  readonly change: (change: (items: readonly Item[]) => readonly Item[]) => void;
}

interface Wanted {
  readonly cursor: string | undefined;
}

/** A list of the API, page by page. */
export function useList<Item>(path: string): List<Item> {
  const { api } = useSession();
  const [items, setItems] = useState<readonly Item[]>();
  const [problem, setProblem] = useState<ApiProblem>();
  const [loading, setLoading] = useState(true);
  const [nextCursor, setNextCursor] = useState<string | null>(null);
  const [wanted, setWanted] = useState<Wanted>({ cursor: undefined });

  useEffect(() => {
    const controller = new AbortController();
    const { cursor } = wanted;
    setLoading(true);
    const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`;
    api.get<Page<Item>>(path + query, controller.signal).then(
      (page) => {
        setItems((shown) => (cursor === undefined ? page.data : [...(shown ?? []), ...page.data]));
        setNextCursor(page.nextCursor);
        setProblem(undefined);
        setLoading(false);
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        setProblem(problemOf(error));
        setLoading(false);
      },
    );
    return () => controller.abort();
  }, [api, path, wanted]);

  return {
    items,
    problem,
    loading,
    hasMore: nextCursor !== null,
    reload: useCallback(() => setWanted({ cursor: undefined }), []),
    more: () => setWanted({ cursor: nextCursor ?? undefined }),
    change: (change) => setItems((shown) => shown && change(shown)),
  };
}

export interface Action {
  readonly busy: boolean;
  readonly problem: ApiProblem | undefined;
  /** What the last success did, in words. */
  readonly done: string | undefined;
  /** Runs it; the promise given tells, in words, what was done. */
  readonly run: (work: () => Promise<string>) => void;
}

/** Something the operator asked for, and how it went. */
export function useAction(): Action {
  const [state, setState] = useState<Omit<Action, 'run'>>({ busy: false, problem: undefined, done: undefined });
  const run = (work: () => Promise<string>) => {
    setState({ busy: true, problem: undefined, done: undefined });
    work().then(
      (done) => setState({ busy: false, problem: undefined, done }),
      (error: unknown) => setState({ busy: false, problem: problemOf(error), done: undefined }),
    );
  };
  return { ...state, run };
}
