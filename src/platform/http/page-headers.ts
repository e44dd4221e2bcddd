import type { NextFunction, Request, Response } from 'express';

const noWayIn = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/**
 * What a browser is told of every page of ours and of its files: load from here alone, be framed by nobody, tell nobody.
 * @param more directives of the Content-Security-Policy that a page cannot do without, beside `default-src 'self'`
 */
export function pageHeaders(...more: string[]) {
  const policy = ["default-src 'self'", ...more, noWayIn].join('; ');
  return (_request: Request, response: Response, next: NextFunction): void => {
    response.setHeader('Content-Security-Policy', policy);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Referrer-Policy', 'no-referrer');
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    next();
  };
}
