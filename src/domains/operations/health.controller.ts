import { Controller, Get, Header, HttpCode, Res } from '@nestjs/common';
import { ApiOperation, ApiProperty } from '@nestjs/swagger';
import type { Response } from 'express';
import { Metrics } from '../../platform/telemetry';
import { Public, Reserved, Responds, Unmetered } from '../../policy';
import { HealthService } from './health.service';

/** Whether a process is alive, or ready for requests. */
export class HealthView {
  @ApiProperty({ type: String, enum: ['ok', 'degraded', 'down'], example: 'ok' })
  readonly status!: string;
}

/** Readiness, with what it rests on. */
export class ReadinessView extends HealthView {
  @ApiProperty({ type: String, enum: ['up', 'down'], example: 'up' })
  readonly postgres!: string;

  @ApiProperty({ type: String, enum: ['up', 'down'], example: 'up' })
  readonly redis!: string;

  @ApiProperty({ type: String, enum: ['up', 'down'], example: 'up' })
  readonly queues!: string;
}

@Controller()
@Public('asked by orchestrators and scrapers, which have no token')
@Unmetered('must answer when everything else is refused')
@Reserved('critical')
export class HealthController {
  constructor(
    private readonly health: HealthService,
    private readonly metrics: Metrics,
  ) {}

  @Get('health/live')
  @ApiOperation({ summary: 'Say that the process runs' })
  @Responds(200, HealthView)
  live() {
    return { status: 'ok' };
  }

  @Get('health/ready')
  @ApiOperation({ summary: 'Say whether the process can serve' })
  @Responds(200, ReadinessView)
  ready() {
    return this.health.readiness();
  }

  @Get('metrics')
  @ApiOperation({ summary: 'Metrics in the format of Prometheus' })
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async scrape(@Res() response: Response) {
    const text = await this.metrics.registry.metrics();
    response.setHeader('Content-Type', this.metrics.registry.contentType);
    response.end(text);
  }
}
