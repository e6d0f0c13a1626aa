// The basic flows of a broker through mqtt.js: every QoS, retained, will, a session with a queue, shared subscriptions. Prints
// a line for each flow and exits with 1 if one is wrong.
//
//   node clients.js 4|5 URL        4 is MQTT 3.1.1; URL is mqtt://HOST:PORT or ws://HOST:PORT/PATH
'use strict'
const mqtt = require('mqtt')

const [version, url] = [Number(process.argv[2]), process.argv[3]]
const patience = 10000

const within = (promise, what) => {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('nothing in time: ' + what)), patience) })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

// open connects; what comes is found by next.
async function open (id, more = {}) {
  const keep = more.keep ? { clean: false, properties: { sessionExpiryInterval: 100 } } : { clean: true }
  if (version !== 5) delete keep.properties
  const c = mqtt.connect(url, { clientId: 'js-' + id, protocolVersion: version, reconnectPeriod: 0, will: more.will, ...keep })
  const came = []
  let wake = () => {}
  c.on('message', (topic, payload, packet) => {
    came.push(`${topic}=${payload} q${packet.qos}${packet.retain ? ' retained' : ''}`)
    wake()
  })
  await within(new Promise((resolve, reject) => { c.once('connect', resolve); c.once('error', reject) }), 'CONNACK')
  return {
    came,
    subscribe: (filter, qos) => within(c.subscribeAsync(filter, { qos }), 'SUBACK'),
    publish: (topic, payload, qos, retain = false) => within(c.publishAsync(topic, payload, { qos, retain }), 'acknowledgement'),
    next: async want => {
      if (came.length === 0) await within(new Promise(resolve => { wake = resolve }), want)
      const got = came.shift()
      if (got !== want) throw new Error(`got ${got}, want ${want}`)
    },
    leave: () => within(c.endAsync(), 'end'),
    vanish: () => c.stream.destroy()
  }
}

const flows = {
  'every QoS': async () => {
    const c = await open('qos')
    for (const granted of [0, 1, 2]) {
      await c.subscribe(`js/${granted}/+`, granted)
      for (const q of [0, 1, 2]) {
        for (let n = 0; n < 50; n++) {
          await c.publish(`js/${granted}/${q}`, String(n), q)
          await c.next(`js/${granted}/${q}=${n} q${Math.min(q, granted)}`)
        }
      }
    }
    await c.leave()
  },
  retained: async () => {
    const c = await open('retained')
    await c.publish('js/kept', '21.5', 1, true)
    await c.subscribe('js/kept', 1)
    await c.next('js/kept=21.5 q1 retained')
    await c.publish('js/kept', '', 1, true)
    await c.leave()
  },
  will: async () => {
    const watch = await open('watch')
    await watch.subscribe('js/will', 1)
    const will = { topic: 'js/will', payload: Buffer.from('gone'), qos: 1, retain: false }
    await (await open('doomed', { will })).leave()
    const lost = await open('doomed', { will })
    lost.vanish()
    await watch.next('js/will=gone q1')
    await watch.leave()
  },
  'session with a queue': async () => {
    const pub = await open('pub')
    let c = await open('away', { keep: true })
    await c.subscribe('js/queue', 2)
    await c.leave()
    const qos = n => n < 50 ? 1 : 2 // mqtt.js hands a message of QoS 2 over when it is released
    for (let n = 0; n < 100; n++) await pub.publish('js/queue', String(n), qos(n))
    c = await open('away', { keep: true })
    for (let n = 0; n < 100; n++) await c.next(`js/queue=${n} q${qos(n)}`)
    await c.leave()
    await pub.leave()
  },
  'shared subscription': async () => {
    const all = []
    for (const i of [0, 1, 2]) {
      all.push(await open('member' + i))
      await all[i].subscribe('$share/js/jobs/#', 1)
    }
    for (let n = 0; n < 90; n++) await all[0].publish('jobs/x', String(n), 1)
    const count = () => all.reduce((sum, c) => sum + c.came.length, 0)
    const limit = Date.now() + patience
    while (count() < 90 && Date.now() < limit) await new Promise(resolve => setTimeout(resolve, 20))
    const different = new Set(all.flatMap(c => c.came)).size
    const shares = all.map(c => c.came.length)
    if (count() !== 90 || different !== 90 || shares.includes(0)) throw new Error(`${different} different of 90, shared as ${shares}`)
    for (const c of all) await c.leave()
  }
}

async function main () {
  for (const [name, flow] of Object.entries(flows)) {
    try {
      await flow()
      console.log(`${version}: ${name}`)
    } catch (err) {
      console.log(`${version}: ${name}: WRONG: ${err.message}`)
      process.exitCode = 1
    }
  }
  process.exit()
}

main()
