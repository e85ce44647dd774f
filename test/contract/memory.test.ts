import { MemoryStore } from '../../src/stores/memory.ts'
import { describeStore } from './describe-store.ts'

describeStore('MemoryStore', async () => {
  // Its records are in the object itself, so one object stands for all.
  const store = new MemoryStore()
  return { open: () => store, cleanUp: async () => {} }
})
