import { Body, Controller, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiParam } from '@nestjs/swagger';
import {
  Audited,
  type Caller,
  CurrentCaller,
  Idempotent,
  idOf,
  idsOf,
  pageOf,
  Responds,
  Roles,
  Tenant,
} from '../../policy';
import { ListPatients } from './dto/list-patients.query';
import { PatientView } from './dto/patient.view';
import { CreatePatient, UpdatePatient } from './dto/save-patient.dto';
import { patientPermissions } from './patients.permissions';
import { PatientsService } from './patients.service';

const patientId = { name: 'id', example: 'pat_01jz0000000000000000000001' };

@Controller('patients')
@Tenant('practice')
export class PatientsController {
  constructor(private readonly patients: PatientsService) {}

  @Get()
  @ApiOperation({ summary: 'List patients, or search them by name, phone or date of birth' })
  @Roles(...patientPermissions['patients.search'])
  @Audited('patient.search', idsOf)
  @Responds(200, pageOf(PatientView))
  list(@CurrentCaller() caller: Caller, @Query() query: ListPatients) {
    return this.patients.list(caller, query);
  }

  @Post()
  @ApiOperation({ summary: 'Create a patient' })
  @Roles(...patientPermissions['patients.create'])
  @Audited('patient.create', idOf)
  @Idempotent()
  @Responds(201, PatientView)
  create(@CurrentCaller() caller: Caller, @Body() request: CreatePatient) {
    return this.patients.create(caller, request);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Get a patient' })
  @Roles(...patientPermissions['patients.read'])
  @Audited('patient.read', idOf)
  @ApiParam(patientId)
  @Responds(200, PatientView)
  get(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.patients.get(caller, id);
  }

  @Patch(':id')
  @ApiOperation({ summary: 'Change a patient' })
  @Roles(...patientPermissions['patients.update'])
  @Audited('patient.update', idOf)
  @ApiParam(patientId)
  @Responds(200, PatientView)
  update(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() request: UpdatePatient) {
    return this.patients.update(caller, id, request);
  }
}
