package bench

import "fmt"

// fanIn is many publishers to one subscriber.
func fanIn(qos byte) func(*run) error {
	return func(r *run) error {
		var topics []string
		for i := range r.o.Size.Publishers {
			topics = append(topics, fmt.Sprintf("bench/in/%d", i))
		}
		f, err := r.newFlow(qos, []string{"bench/in/+"}, topics)
		if err != nil {
			return err
		}
		return f.tell("message", qos)
	}
}

// fanOut is one publisher to many subscribers.
func fanOut(r *run) error {
	var filters []string
	for range r.o.Size.Subscribers {
		filters = append(filters, "bench/out")
	}
	f, err := r.newFlow(0, filters, []string{"bench/out"})
	if err != nil {
		return err
	}
	return f.tell("delivery", 0)
}

// tell measures a flow and says its figures. one is what is counted.
func (f *flow) tell(one string, qos byte) error {
	if err := f.measure(); err != nil {
		return err
	}
	many := one + "s"
	if one == "delivery" {
		many = "deliveries"
	}
	r, g := f.r, &f.figures
	r.say("rate", many+"/s", g.rate)
	r.sayIf(g.cpuKnown, "cpu", "µs/"+one, g.cpu)
	r.sayIf(g.cpuKnown, "cores", "", g.cores)
	r.sayIf(g.ownKnown, "own_cpu", "µs/"+one, g.own)
	r.say("delivered", many, float64(g.delivered))
	r.say("lost", many, float64(g.lost))
	r.say("repeated", many, float64(g.repeated))
	r.say("disordered", many, float64(g.disordered))
	return g.broken(qos)
}
