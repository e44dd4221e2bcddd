import type { INestApplication } from '@nestjs/common';
import express, { type NextFunction, type Request, type Response, Router } from 'express';
import { join } from 'node:path';
import { pageHeaders } from '../../platform/http';

const page = 'index.html';
const yearSeconds = 31_536_000;

const unbuilt = 'The dashboard is not built. Build it with: npm run build\n';

/**
 * Serves the built dashboard at `/dashboard`: files with hashed names for ever, the page only after asking again. A page
 * load of any path below gets the page, whose own routes tell the rest; everything else goes on to the API's routes.
 * @param folder what `scripts/build-dashboard.mjs` wrote; looked into at each request, so that it may be built later
 */
export function mountDashboard(app: INestApplication, folder: string): void {
  const router = Router();
  router.use(pageHeaders());
  const assets = { index: false, redirect: false, immutable: true, maxAge: yearSeconds * 1000 } as const;
  router.use('/assets', express.static(join(folder, 'assets'), assets));
  router.use((request: Request, response: Response, next: NextFunction) => {
    if (isPageLoad(request)) sendPage(folder, response, next);
    else next();
  });
  app.use('/dashboard', router);
}

/** Scripts and pictures are asked for with any type or their own; below the first page only a page load names HTML. */
function isPageLoad(request: Request): boolean {
  const { method, path, headers } = request;
  if (method !== 'GET' && method !== 'HEAD') return false;
  if (path === '/') return request.accepts('html') !== false;
  return !path.startsWith('/assets/') && headers.accept?.includes('text/html') === true;
}

// Without validators: it is small, and a build in the same second, or an image with fixed times, would look like another.
const pageOptions = { cacheControl: false, lastModified: false, headers: { 'Cache-Control': 'no-cache' } } as const;

function sendPage(root: string, response: Response, next: NextFunction): void {
  response.sendFile(page, { root, ...pageOptions }, (error?: Error) => {
    if (!error || response.headersSent) return;
    if ('code' in error && error.code === 'ENOENT') {
      response.status(503).set('Cache-Control', 'no-store').type('text/plain').send(unbuilt);
    } else next(error);
  });
}
