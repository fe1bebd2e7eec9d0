// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/prober_analyse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int sfh_probe_log_add(struct sfh_probe_log *log, bool rx, uint64_t seq, uint64_t t_ns)
{
	if (log->n == log->size) {
		size_t size = log->size ? 2 * log->size : 1024;
		struct sfh_probe_event *events = reallocarray(log->events, size, sizeof(*events));

		if (!events)
			return -ENOMEM;
		log->events = events;
		log->size = size;
	}
	log->events[log->n++] = (struct sfh_probe_event){seq, t_ns, rx};
	return 0;
}

void sfh_probe_log_free(struct sfh_probe_log *log)
{
	free(log->events);
	*log = (struct sfh_probe_log){0};
}

static bool digits(const char **p, uint64_t *ret)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*ret = strtoull(*p, &end, 10);
	*p = end;
	return !errno;
}

static bool read_event(const char *line, struct sfh_probe_event *ret)
{
	const char *p = line + 3;

	if (strncmp(line, "tx ", 3) && strncmp(line, "rx ", 3))
		return false;
	ret->rx = line[0] == 'r';
	return digits(&p, &ret->seq) && *p++ == ' ' && digits(&p, &ret->t_ns) && *p == '\n';
}

int sfh_probe_log_read(struct sfh_probe_log *log, FILE *f, unsigned *ret_line)
{
	static const char header[] = "# sfh-prober 1 interval_ns=";
	char line[256];
	unsigned number = 0;

	while (fgets(line, sizeof(line), f)) {
		struct sfh_probe_event e;
		int r;

		number++;
		/* the prober was killed, or is just writing */
		if (!strchr(line, '\n') && feof(f))
			break;
		if (line[0] == '#') {
			const char *p = line + sizeof(header) - 1;

			if (!strncmp(line, header, sizeof(header) - 1))
				(void)digits(&p, &log->interval_ns);
			continue;
		}
		if (!read_event(line, &e)) {
			if (ret_line)
				*ret_line = number;
			return -EINVAL;
		}
		r = sfh_probe_log_add(log, e.rx, e.seq, e.t_ns);
		if (r < 0)
			return r;
	}
	return ferror(f) ? -EIO : 0;
}

/* --- analysis -------------------------------------------------------------------*/

struct request {
	uint64_t seq, tx_ns;
	bool answered;
};

static int by_time(const void *a, const void *b)
{
	const struct sfh_probe_event *x = a, *y = b;

	if (x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_seq(const void *a, const void *b)
{
	const struct request *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Half of the values are not above it; 0 for none. Sorts. */
static uint64_t median(uint64_t *values, size_t n)
{
	if (!n)
		return 0;
	qsort(values, n, sizeof(*values), by_value);
	return values[(n - 1) / 2];
}

/* A silence from a to b, if it overlaps the window and is the longest yet. */
static void consider_gap(struct sfh_probe_result *r, uint64_t a, uint64_t b)
{
	uint64_t gap = b > a && b - a > r->interval_ns ? b - a - r->interval_ns : 0;

	if (a < r->to_ns && b > r->from_ns && gap > r->gap_ns) {
		r->gap_ns = gap;
		r->gap_from_ns = a;
		r->gap_to_ns = b;
	}
}

static void analyse_replies(struct request *reqs, size_t nreqs, const struct sfh_probe_event *rx,
			    size_t nrx, uint64_t *rtts, struct sfh_probe_result *r)
{
	uint64_t newest = 0;
	bool any = false;

	for (size_t i = 0; i < nrx; i++) {
		const struct request key = {.seq = rx[i].seq};
		struct request *q = bsearch(&key, reqs, nreqs, sizeof(*reqs), by_seq);
		bool in;

		if (!q) /* its request is older than the log */
			continue;
		in = q->tx_ns >= r->from_ns && q->tx_ns < r->to_ns;
		if (q->answered) {
			r->dup += in;
			continue;
		}
		q->answered = true;
		if (any && q->seq < newest)
			r->reordered += in;
		else
			newest = q->seq;
		any = true;
		if (!in)
			continue;
		/* the clock of the kernel's stamp may be read a hair before ours */
		if (rx[i].t_ns > q->tx_ns && rx[i].t_ns - q->tx_ns > SFH_PROBE_LATE_NS) {
			r->late++;
			continue;
		}
		rtts[r->received++] = rx[i].t_ns > q->tx_ns ? rx[i].t_ns - q->tx_ns : 0;
	}
}

static void analyse_gaps(const struct sfh_probe_event *tx, size_t ntx,
			 const struct sfh_probe_event *rx, size_t nrx, struct sfh_probe_result *r)
{
	if (!ntx)
		return;
	if (!nrx) {
		consider_gap(r, tx[0].t_ns, tx[ntx - 1].t_ns);
		return;
	}
	consider_gap(r, tx[0].t_ns, rx[0].t_ns);
	for (size_t i = 1; i < nrx; i++)
		consider_gap(r, rx[i - 1].t_ns, rx[i].t_ns);
	consider_gap(r, rx[nrx - 1].t_ns, tx[ntx - 1].t_ns);
}

int sfh_probe_analyse(const struct sfh_probe_log *log, uint64_t from_ns, uint64_t to_ns,
		      struct sfh_probe_result *ret)
{
	struct sfh_probe_result r = {.from_ns = from_ns, .to_ns = to_ns};
	struct sfh_probe_event *tx = calloc(log->n + 1, sizeof(*tx));
	struct sfh_probe_event *rx = calloc(log->n + 1, sizeof(*rx));
	struct request *reqs = calloc(log->n + 1, sizeof(*reqs));
	uint64_t *values = calloc(log->n + 1, sizeof(*values));
	size_t ntx = 0, nrx = 0;
	int status = 0;

	if (from_ns >= to_ns) {
		status = -EINVAL;
		goto out;
	}
	if (!tx || !rx || !reqs || !values) {
		status = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < log->n; i++) {
		const struct sfh_probe_event *e = &log->events[i];

		if (e->rx) {
			rx[nrx++] = *e;
			continue;
		}
		reqs[ntx] = (struct request){.seq = e->seq, .tx_ns = e->t_ns};
		tx[ntx++] = *e;
		r.sent += e->t_ns >= from_ns && e->t_ns < to_ns;
	}
	qsort(tx, ntx, sizeof(*tx), by_time);
	qsort(rx, nrx, sizeof(*rx), by_time);
	qsort(reqs, ntx, sizeof(*reqs), by_seq);

	for (size_t i = 1; i < ntx; i++)
		values[i - 1] = tx[i].t_ns - tx[i - 1].t_ns;
	r.interval_ns = log->interval_ns ? log->interval_ns : median(values, ntx ? ntx - 1 : 0);
	for (size_t i = 1; i < ntx; i++) {
		uint64_t d = tx[i].t_ns - tx[i - 1].t_ns;

		if (tx[i - 1].t_ns < to_ns && tx[i].t_ns > from_ns && d > r.interval_ns &&
		    d - r.interval_ns > r.tx_gap_ns)
			r.tx_gap_ns = d - r.interval_ns;
	}
	analyse_replies(reqs, ntx, rx, nrx, values, &r);
	r.lost = r.sent - r.received;
	r.rtt_median_ns = median(values, r.received);
	r.rtt_max_ns = r.received ? values[r.received - 1] : 0;
	analyse_gaps(tx, ntx, rx, nrx, &r);
	*ret = r;
out:
	free(tx);
	free(rx);
	free(reqs);
	free(values);
	return status;
}

void sfh_probe_print(FILE *f, const struct sfh_probe_result *r, bool json)
{
	static const char human[] = "sent %" PRIu64 ", received %" PRIu64 ", lost %" PRIu64
				    " (late %" PRIu64 "), dup %" PRIu64 ", reordered %" PRIu64
				    ", longest gap %.3f ms (prober's own "
				    "%.3f ms), rtt median %.3f ms, max %.3f ms\n";
	static const char object[] =
		"{\"schema\":1,\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"lost\":%" PRIu64
		",\"late\":%" PRIu64 ",\"dup\":%" PRIu64 ",\"reordered\":%" PRIu64
		",\"gap_ms\":%.3f,\"tx_gap_ms\":%.3f,\"rtt_median_ms\":%.3f,\"rtt_max_ms\":%.3f";

	(void)fprintf(f, json ? object : human, r->sent, r->received, r->lost, r->late, r->dup,
		      r->reordered, (double)r->gap_ns / 1e6, (double)r->tx_gap_ns / 1e6,
		      (double)r->rtt_median_ns / 1e6, (double)r->rtt_max_ns / 1e6);
	if (json)
		(void)fprintf(f,
			      ",\"gap_from_ns\":%" PRIu64 ",\"gap_to_ns\":%" PRIu64
			      ",\"from_ns\":%" PRIu64 ",\"to_ns\":%" PRIu64
			      ",\"interval_ns\":%" PRIu64 "}\n",
			      r->gap_from_ns, r->gap_to_ns, r->from_ns, r->to_ns, r->interval_ns);
}
