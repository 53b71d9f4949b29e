/** Every procedure's declaration by name: for previews, console, reports and docs. No workflow code is loaded here. */
import type { RecoveryOrder } from '../model/order';
import type { ProcedureDeclaration } from '../model/steps';
import type { PlanHeader } from '../model/plan';
import { declarationOfPlan, planDeclaration } from './plan.steps';
import { declarationOf, pushButtonDeclaration, rehearsalDeclaration } from './push-button-recovery.steps';
import { cleanUpDeclaration } from './rehearsal.steps';

export const procedures: Readonly<Record<string, ProcedureDeclaration>> = {
  [pushButtonDeclaration.name]: pushButtonDeclaration,
  [rehearsalDeclaration.name]: rehearsalDeclaration,
  [cleanUpDeclaration.name]: cleanUpDeclaration,
  [planDeclaration.name]: planDeclaration,
};

/** What a run of this order does; undefined for a procedure that this version does not have. */
export const procedureOf = (order: RecoveryOrder): ProcedureDeclaration | undefined =>
  procedures[order.procedure] === undefined ? undefined : declarationOf(order);

/** The same of a plan. */
export const procedureOfPlan = (order: PlanHeader): ProcedureDeclaration | undefined =>
  order.procedure === planDeclaration.name ? declarationOfPlan(order) : undefined;
