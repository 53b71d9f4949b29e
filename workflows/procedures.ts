/** Every procedure's declaration by name: for previews, console, reports and docs. No workflow code is loaded here. */
import type { ProcedureDeclaration } from '../model/steps';
import { planDeclaration } from './plan.steps';
import { pushButtonDeclaration } from './push-button-recovery.steps';

export const procedures: Readonly<Record<string, ProcedureDeclaration>> = {
  [pushButtonDeclaration.name]: pushButtonDeclaration,
  [planDeclaration.name]: planDeclaration,
};
