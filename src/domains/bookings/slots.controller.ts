import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { type Caller, CurrentCaller, pageOf, Reserved, Responds, Roles, Tenant } from '../../policy';
import { bookingPermissions } from './bookings.permissions';
import { BookingsService } from './bookings.service';
import { ListSlots, SlotView } from './dto/slot.view';

@Controller('slots')
@Tenant('practice')
@Roles(...bookingPermissions['slots.list'])
@Reserved('critical')
export class SlotsController {
  constructor(private readonly bookings: BookingsService) {}

  @Get()
  @ApiOperation({ summary: 'List slots' })
  @Responds(200, pageOf(SlotView))
  list(@CurrentCaller() caller: Caller, @Query() query: ListSlots) {
    return this.bookings.slots(caller, query);
  }
}
