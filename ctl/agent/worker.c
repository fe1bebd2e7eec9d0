// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads for what takes long. They never touch the engine: a job carries what
 * it needs in and out. */
#include <string.h>
#include <sys/eventfd.h>

#include "ctl/agent/agent.h"

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct sfh_worker {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct sfh_job *queue, **tail;
	struct post *posts, **posts_tail;
	int event_fd;
};

static void *worker_thread(void *arg)
{
	struct sfh_worker *w = arg;

	for (;;) {
		struct sfh_job *job;

		(void)pthread_mutex_lock(&w->lock);
		while (!w->queue)
			(void)pthread_cond_wait(&w->work, &w->lock);
		job = w->queue;
		w->queue = job->next;
		if (!w->queue)
			w->tail = &w->queue;
		(void)pthread_mutex_unlock(&w->lock);
		job->run(job);
		sfh_worker_post(w, (void (*)(void *))job->done, job);
	}
	return NULL;
}

static int on_posts(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct sfh_worker *w = userdata;
	struct post *posts;
	uint64_t count;

	(void)source;
	(void)revents;
	(void)!read(fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&w->lock);
	posts = w->posts;
	w->posts = NULL;
	w->posts_tail = &w->posts;
	(void)pthread_mutex_unlock(&w->lock);
	while (posts) {
		struct post *p = posts;

		posts = p->next;
		p->fn(p->arg);
		free(p);
	}
	return 0;
}

int sfh_worker_start(sd_event *loop, unsigned threads, struct sfh_worker **ret)
{
	struct sfh_worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->work, NULL);
	w->tail = &w->queue;
	w->posts_tail = &w->posts;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->event_fd < 0 ? -errno
			    : sd_event_add_io(loop, NULL, w->event_fd, EPOLLIN, on_posts, w);
	for (unsigned i = 0; r >= 0 && i < threads; i++) {
		pthread_t thread;

		r = -pthread_create(&thread, NULL, worker_thread, w);
		if (r == 0)
			(void)pthread_detach(thread);
	}
	if (r < 0)
		return r; /* the agent does not start without its threads */
	*ret = w;
	return 0;
}

void sfh_worker_submit(struct sfh_worker *w, struct sfh_job *job)
{
	job->next = NULL;
	(void)pthread_mutex_lock(&w->lock);
	*w->tail = job;
	w->tail = &job->next;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
}

void sfh_worker_post(struct sfh_worker *w, void (*fn)(void *arg), void *arg)
{
	struct post *p = calloc(1, sizeof(*p));
	uint64_t one = 1;

	if (!p)
		abort(); /* a lost result would hang its pair for ever; systemd restarts us */
	p->fn = fn;
	p->arg = arg;
	(void)pthread_mutex_lock(&w->lock);
	*w->posts_tail = p;
	w->posts_tail = &p->next;
	(void)pthread_mutex_unlock(&w->lock);
	(void)!write(w->event_fd, &one, sizeof(one));
}
