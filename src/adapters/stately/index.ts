import '../../errors/supported-node.ts'
export {
  createStatelyInspector,
  type StatelyInspector,
  type StatelyInspectorOptions,
} from './create-stately-inspector.ts'
export { type InspectedActor, type InspectedSnapshot, type InspectorCalls, toStately } from './to-stately.ts'
