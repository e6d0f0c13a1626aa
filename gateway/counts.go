package gateway

import (
	"weir/broker"
	"weir/gateway/status"
)

// brokerStatus is what the broker counts, as people read it.
func brokerStatus(b *broker.Stats) status.Broker {
	s := status.Broker{
		Connections: b.Connections, Sessions: b.Sessions, Subscriptions: b.Subscriptions, Retained: b.Retained,
		Received: sum(b.Received), Delivered: sum(b.Sent), Dropped: b.DroppedQoS0 + b.DroppedQueue + b.DroppedShared + b.DroppedTail, NotKept: b.NotKept,
		Denied: b.Denied, Withheld: b.Withheld, LoginsFailed: b.LoginsFailed, LoginsLimited: b.LoginsLimited, Revoked: b.Revoked,
	}
	s.Causes = []status.Count{
		{Name: "dropped, QoS 0: subscriber too slow", Count: b.DroppedQoS0},
		{Name: "dropped: queue of a subscriber full", Count: b.DroppedQueue},
		{Name: "dropped: nobody left in a shared group", Count: b.DroppedShared},
		{Name: "dropped for upstreams: memory of the log full", Count: b.DroppedTail},
		{Name: "expired messages", Count: b.Expired},
		{Name: "expired retained messages", Count: b.ExpiredRetained},
		{Name: "expired sessions", Count: b.ExpiredSessions},
		{Name: "messages larger than the subscriber takes", Count: b.TooLarge},
		{Name: "messages not retained for want of room", Count: b.NotRetained},
		{Name: "messages to topics that clients may not use", Count: b.Rejected},
		{Name: "subscriptions beyond those of one client", Count: b.TooManySubscriptions},
		{Name: "connections beyond those of one address", Count: b.TooManyConnecting},
		{Name: "connections without a CONNECT in time", Count: b.ConnectTimeouts},
		{Name: "clients refused", Count: b.Refused},
		{Name: "clients that broke the protocol", Count: b.ProtocolErrors},
		{Name: "clients that fell silent", Count: b.KeepAliveLost},
		{Name: "clients that sent more than may wait for the disk", Count: b.AllowanceClosed},
		{Name: "logins that failed", Count: b.LoginsFailed},
		{Name: "logins not looked at, as too many had failed", Count: b.LoginsLimited},
		{Name: "publishing and subscribing without the right to", Count: b.Denied},
		{Name: "messages not delivered for want of rights", Count: b.Withheld},
		{Name: "clients disconnected as their login holds no more", Count: b.Revoked},
	}
	for _, l := range b.Limits {
		s.Limits = append(s.Limits, status.Limit(l))
	}
	return s
}
