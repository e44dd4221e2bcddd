import type { INestApplication } from '@nestjs/common';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { Config } from '../../platform/config';
import { pageHeaders } from '../../platform/http';
import { addBodyExamples } from './body-example';
import { documentOf } from './document';

/** Swagger UI writes styles into its elements, and its icons lie in its stylesheet. No script is inline. */
const swaggerUiNeeds = ["style-src 'self' 'unsafe-inline'", "img-src 'self' data:"];

/** Serves Swagger UI at `/docs`, where `/` leads, and the document at `/docs-json`; the document is made when first asked for. */
export function mountDocs(app: INestApplication, config: Config, adjust: (document: OpenAPIObject) => void): void {
  app.getHttpAdapter().get('/', (_request: Request, response: Response) => response.redirect('/docs'));
  app.use('/docs', pageHeaders(...swaggerUiNeeds));
  SwaggerModule.setup(
    'docs',
    app,
    () => {
      const document = documentOf(app, config);
      adjust(document);
      addBodyExamples(document); // once more, of what was adjusted
      return document;
    },
    {
      jsonDocumentUrl: 'docs-json',
      raw: ['json'], // YAML would be written anew, in tens of milliseconds, for anyone who asks
      customSiteTitle: 'Gatehouse',
      swaggerOptions: {
        persistAuthorization: !config.isProduction,
        displayRequestDuration: true,
        tryItOutEnabled: true,
        initOAuth: { clientId: 'scheduling_agent', clientSecret: 'development' },
      },
    },
  );
}
