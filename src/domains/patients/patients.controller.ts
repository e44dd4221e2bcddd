import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { type Caller, CurrentCaller, pageOf, Responds, Roles, Tenant } from '../../policy';
import { ListPatients } from './dto/list-patients.query';
import { PatientView } from './dto/patient.view';
import { PatientsService } from './patients.service';

@Controller('patients')
@Tenant('practice')
@Roles('scheduling_agent', 'provider', 'practice_admin')
export class PatientsController {
  constructor(private readonly patients: PatientsService) {}

  @Get()
  @Responds(200, pageOf(PatientView))
  list(@CurrentCaller() caller: Caller, @Query() query: ListPatients) {
    return this.patients.list(caller, query);
  }

  @Get(':id')
  @ApiParam({ name: 'id', example: 'pat_01jz0000000000000000000001' })
  @Responds(200, PatientView)
  get(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.patients.get(caller, id);
  }
}
