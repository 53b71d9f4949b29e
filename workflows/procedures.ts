/** Every procedure's declaration by name: for previews, console, reports and docs. No workflow code is loaded here. */
import type { ProcedureDeclaration } from '../model/steps';
import { planDeclaration } from './plan.steps';
import { pushButtonDeclaration, rehearsalDeclaration } from './push-button-recovery.steps';
import { cleanUpDeclaration } from './rehearsal.steps';

export const procedures: Readonly<Record<string, ProcedureDeclaration>> = {
  [pushButtonDeclaration.name]: pushButtonDeclaration,
  [rehearsalDeclaration.name]: rehearsalDeclaration,
  [cleanUpDeclaration.name]: cleanUpDeclaration,
  [planDeclaration.name]: planDeclaration,
};
