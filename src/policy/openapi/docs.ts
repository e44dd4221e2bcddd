import type { INestApplication } from '@nestjs/common';
import type { Config } from '../../platform/config';
export async function mountDocs(_app: INestApplication, _config: Config): Promise<void> {}
