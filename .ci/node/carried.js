// mqtt.js over WebSocket, with or without TLS: subscribes, publishes at each QoS, and wants back what it sent.
//
//   carried.js URL VERSION [CA-FILE]
const fs = require('fs')
const mqtt = require('mqtt')

const [url, version, ca] = process.argv.slice(2)
const want = ['zero', 'x'.repeat(100), 'y'.repeat(70000)]
const got = []
const client = mqtt.connect(url, { protocolVersion: Number(version), reconnectPeriod: 0, ca: ca && fs.readFileSync(ca) })
const fail = (why) => { console.error(why); process.exit(1) }
setTimeout(() => fail('not in time: ' + got.length), 15000).unref()
client.on('error', fail)
client.on('connect', () => client.subscribe('carried/' + version, { qos: 2 }, (err) => {
  if (err) fail(err)
  want.forEach((payload, qos) => client.publish('carried/' + version, payload, { qos }, (err) => err && fail(err)))
}))
client.on('message', (topic, payload) => {
  got.push(payload.toString())
  if (got.length < want.length) return
  if (got.sort().join() !== want.slice().sort().join()) fail('other messages than were sent')
  client.end(false, {}, () => process.exit(0))
})
