// SPDX-License-Identifier: GPL-2.0-or-later
/* QEMU's answer to x-query-virtio-status, cut down to what is looked at (QEMU 10.0.13). */
#include "libvirt-glue/virt.h"

#include <criterion/criterion.h>

#define STANDBY "\"VIRTIO_NET_F_STANDBY: Device acting as standby for primary device with same MAC addr. supported\""
#define MAC "\"VIRTIO_NET_F_MAC: MAC address supported\""
#define DRIVER "\"VIRTIO_CONFIG_S_DRIVER: Guest OS compatible with device\""
#define FEATURES_OK "\"VIRTIO_CONFIG_S_FEATURES_OK: Feature negotiation complete\""
#define ANSWER(guest, status)                                                                      \
	"{\"return\":{\"name\":\"virtio-net\",\"host-features\":{\"transports\":[],"                   \
	"\"dev-features\":[" STANDBY "," MAC "]},\"guest-features\":{\"transports\":[],"              \
	"\"dev-features\":[" guest "]},\"status\":{\"statuses\":[" status "]}},\"id\":\"libvirt-42\"}"

Test(negotiated, what_the_guest_acknowledged_counts_and_not_what_it_was_offered)
{
	cr_expect_eq(sfh_virt_standby_of(ANSWER("", "")), 0, "reset");
	cr_expect_eq(sfh_virt_standby_of(ANSWER(MAC, DRIVER "," FEATURES_OK)), 0, "firmware");
	cr_expect_eq(sfh_virt_standby_of(ANSWER(MAC "," STANDBY, DRIVER "," FEATURES_OK)), 1);
}

Test(negotiated, a_driver_that_has_not_finished_has_not_said_it)
{
	cr_expect_eq(sfh_virt_standby_of(ANSWER(MAC "," STANDBY, DRIVER)), -EAGAIN);
	cr_expect_eq(sfh_virt_standby_of(ANSWER(STANDBY, "")), -EAGAIN);
	cr_expect_eq(sfh_virt_standby_of(ANSWER(MAC, DRIVER)), 0);
}

Test(negotiated, what_is_no_answer_is_no)
{
	cr_expect_eq(sfh_virt_standby_of(""), 0);
	cr_expect_eq(sfh_virt_standby_of("{\"return\":[]}"), 0);
	cr_expect_eq(sfh_virt_standby_of("{\"error\":{\"desc\":\"no such device\"}}"), 0);
}
