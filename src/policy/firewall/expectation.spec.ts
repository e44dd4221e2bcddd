import { Body, Controller, Post } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { type SmallGate, startSmallGate } from './small-gate.spec-support';

class Order {
  @ApiProperty()
  name!: string;
}

@Controller('orders')
class OrdersController {
  @Post()
  create(@Body() order: Order) {
    return order;
  }
}

describe('an expectation that nobody meets', () => {
  let gate: SmallGate;
  beforeAll(async () => {
    gate = await startSmallGate([OrdersController]);
  });
  afterAll(() => gate.close());

  it.each(['200-ok', '100-continue, 200-ok', ''])(
    'is answered 417 with both ids, and closes: %s',
    async (expectation) => {
      const head = `POST /orders HTTP/1.1\r\nHost: a.example\r\nX-Correlation-Id: expecting-1\r\nExpect: ${expectation}\r\n`;
      const text = await gate.exchange(`${head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 417 Expectation Failed\r\n/);
      expect(text).toMatch(/X-Correlation-Id: expecting-1\r\nX-Request-Id: [\da-f-]{36}\r\n/);
      const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as Record<string, unknown>;
      expect(body).toMatchObject({ code: 'expectation_failed', correlationId: 'expecting-1' });
    },
  );
});
