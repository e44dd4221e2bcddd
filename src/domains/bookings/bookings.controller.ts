import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { type Caller, CurrentCaller, Idempotent, pageOf, Reserved, Responds, Roles, Tenant } from '../../policy';
import { BookingsService } from './bookings.service';
import { AppointmentDetails, AppointmentView } from './dto/appointment.view';
import { BookAppointment, RescheduleAppointment } from './dto/book-appointment.dto';
import { ListAppointments } from './dto/slot.view';

@Controller('appointments')
@Tenant('practice')
@Roles('scheduling_agent', 'practice_admin')
@Reserved('critical')
export class BookingsController {
  constructor(private readonly bookings: BookingsService) {}

  @Post()
  @Idempotent()
  @Responds(201, AppointmentView)
  book(@CurrentCaller() caller: Caller, @Body() request: BookAppointment) {
    return this.bookings.book(caller, request);
  }

  @Get()
  @Roles('scheduling_agent', 'provider', 'practice_admin')
  @Responds(200, pageOf(AppointmentDetails))
  list(@CurrentCaller() caller: Caller, @Query() query: ListAppointments) {
    return this.bookings.list(caller, query);
  }

  @Get(':id')
  @Roles('scheduling_agent', 'provider', 'practice_admin')
  @Responds(200, AppointmentDetails)
  get(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.bookings.get(caller, id);
  }

  @Post(':id/cancel')
  @Idempotent()
  @Responds(200, AppointmentDetails)
  cancel(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.bookings.cancel(caller, id);
  }

  @Post(':id/reschedule')
  @Idempotent()
  @Responds(200, AppointmentDetails)
  reschedule(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() request: RescheduleAppointment) {
    return this.bookings.reschedule(caller, id, request);
  }
}
