import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from 'react';

/** Where the application serves the dashboard. */
const base = '/dashboard';

function subscribe(onChange: () => void): () => void {
  window.addEventListener('popstate', onChange);
  return () => window.removeEventListener('popstate', onChange);
}

/** The path below `/dashboard`, without a slash at its end: `/`, `/dead-letters`. */
function currentPath(): string {
  return window.location.pathname.slice(base.length).replace(/\/+$/, '') || '/';
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, currentPath);
}

interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  /** A path below `/dashboard`. */
  readonly to: string;
}

/** A link to another page of the dashboard; with a modifier key it opens a tab, as every link does. */
export function Link({ to, ...rest }: LinkProps) {
  const href = to === '/' ? base : base + to;
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (window.location.pathname !== href) window.history.pushState(null, '', href);
    window.dispatchEvent(new PopStateEvent('popstate'));
  };
  return <a href={href} onClick={follow} {...rest} />;
}
