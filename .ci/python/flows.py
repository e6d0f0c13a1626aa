# The basic flows of a broker through paho for Python, 3.1.1 and 5.0: every QoS, retained, will, a session with a queue, a
# shared subscription. Prints a line for each version, and fails where one is wrong.
import queue
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

patience = 10


class Client:
    def __init__(self, version, name, keep=False, will=None):
        self.came = queue.Queue()
        self.done = queue.Queue()
        five = version == mqtt.MQTTv5
        id = 'python-%d-%s' % (version, name)
        self.c = mqtt.Client(id, protocol=version) if five else mqtt.Client(id, clean_session=not keep, protocol=version)
        self.c.on_message = lambda c, u, m: self.came.put((m.topic, m.payload.decode(), m.qos, bool(m.retain)))
        self.c.on_connect = lambda *all: self.done.put('connected')
        self.c.on_subscribe = lambda *all: self.done.put('subscribed')
        if will:
            self.c.will_set(will, 'gone', 1)
        more = {}
        if five:
            p = Properties(PacketTypes.CONNECT)
            p.SessionExpiryInterval = 100 if keep else 0
            more = dict(clean_start=not keep, properties=p)
        self.c.connect('127.0.0.1', 1883, 30, **more)
        self.c.loop_start()
        self.done.get(timeout=patience)

    def subscribe(self, filter, qos):
        self.c.subscribe(filter, qos)
        self.done.get(timeout=patience)

    def publish(self, topic, payload, qos, retain=False):
        self.c.publish(topic, payload, qos, retain).wait_for_publish()

    def want(self, *message):
        got = self.came.get(timeout=patience)
        assert got == message, 'got %s, want %s' % (got, message)

    def leave(self):
        self.c.disconnect()
        self.c.loop_stop()

    def vanish(self):
        self.c.loop_stop()
        self.c._sock.close()


def flows(version):
    def open(*all, **more):
        return Client(version, *all, **more)

    c = open('qos')
    for granted in range(3):
        c.subscribe('python/%d/+' % granted, granted)
        for q in range(3):
            for n in range(20):
                topic = 'python/%d/%d' % (granted, q)
                c.publish(topic, str(n), q)
                c.want(topic, str(n), min(q, granted), False)
    c.publish('python/kept', '21.5', 1, True)
    c.subscribe('python/kept', 1)
    c.want('python/kept', '21.5', 1, True)
    c.publish('python/kept', '', 1, True)
    c.want('python/kept', '', 1, False)

    c.subscribe('python/will', 1)
    open('doomed', will='python/will').leave()
    open('doomed', will='python/will').vanish()
    c.want('python/will', 'gone', 1, False)

    away = open('away', keep=True)
    away.subscribe('python/queue', 2)
    away.leave()
    for n in range(100):
        c.publish('python/queue', str(n), 2)
    away = open('away', keep=True)
    for n in range(100):
        away.want('python/queue', str(n), 2, False)

    c.subscribe('$share/python/jobs', 1)
    away.subscribe('$share/python/jobs', 1)
    for n in range(40):
        c.publish('jobs', str(n), 1)
    got = [m.came.get(timeout=patience)[1] for m in (c, away) for _ in range(20)]
    assert len(set(got)) == 40, 'of 40 shared messages %d came' % len(set(got))
    away.leave()
    c.leave()


for version, name in ((mqtt.MQTTv311, '3.1.1'), (mqtt.MQTTv5, '5.0')):
    flows(version)
    print(name + ': every QoS, retained, will, queue, shared')
