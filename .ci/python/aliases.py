# A 5.0 client that allows five topic aliases: publishes on few topics, again and again at each QoS, and wants back each message
# under the topic it was sent on, some of them without a topic. paho leaves it to its user to look aliases up.
#
#   aliases.py PORT
import sys
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

count, wrong, short, known = 0, 0, 0, {}


def on_connect(client, userdata, flags, rc, properties):
    client.subscribe("aliased/#", 2)


def on_subscribe(client, userdata, mid, granted, properties):
    for n in range(90):
        topic = "aliased/topic/%d" % (n % 9)
        client.publish(topic, topic, qos=n % 3)


def on_message(client, userdata, msg):
    global count, wrong, short
    topic, alias = msg.topic, getattr(msg.properties, "TopicAlias", None)
    if alias is not None and topic:
        known[alias] = topic
    elif alias is not None:
        short += 1
        topic = known[alias]
    wrong += topic != msg.payload.decode() or alias is not None and not 1 <= alias <= 5
    count += 1
    if count == 90:
        client.disconnect()


client = mqtt.Client("aliases", protocol=mqtt.MQTTv5)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
asked = Properties(PacketTypes.CONNECT)
asked.TopicAliasMaximum = 5
client.connect("localhost", int(sys.argv[1]), 60, properties=asked)
client.loop_forever()
print("aliases: %d messages, %d without a topic, %d wrong" % (count, short, wrong))
sys.exit(wrong > 0 or short < 20)
