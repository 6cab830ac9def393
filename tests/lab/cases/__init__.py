# SPDX-License-Identifier: BSD-2-Clause
#
# The cases of the lab, a file for each point that the gateway must show.
