#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
#
# Writes a database of networks for the tests: mmdb.pl FILE [IP-VERSION] [SCHEMA] <LINES
# A line is "NETWORK ASN COUNTRY", with - for what is not known. Schema "geolite2" keeps the country
# as GeoLite2 and DB-IP do ("US/GB": there, but registered here), "flat" as those that are made from the registries' files.

use strict;
use warnings;
use MaxMind::DB::Writer::Tree;

my $file = shift or die "usage: mmdb.pl FILE [IP-VERSION] [SCHEMA] <LINES\n";
my $version = shift // 6;
my $schema = shift // 'geolite2';

my %types = (
    autonomous_system_number => 'uint32',
    autonomous_system_organization => 'utf8_string',
    country => 'map',
    registered_country => 'map',
    iso_code => 'utf8_string',
    country_code => 'utf8_string',
);

my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version => $version,
    record_size => 24,
    database_type => 'Sekisho-Test',
    languages => ['en'],
    description => {en => 'Networks of a test'},
    alias_ipv6_to_ipv4 => $version == 6 ? 1 : 0,
    remove_reserved_networks => 0,
    map_key_type_callback => sub { $types{$_[0]} },
);

while (my $line = <STDIN>) {
    my ($network, $asn, $country) = split ' ', $line;
    next unless defined $country;
    my %data;
    if ($asn ne '-') {
        $data{autonomous_system_number} = $asn;
        $data{autonomous_system_organization} = "AS of the test $asn";
    }
    if ($country ne '-') {
        if ($schema eq 'flat') { $data{country_code} = $country }
        else {
            my ($is, $registered) = split '/', $country;
            $data{country} = {iso_code => $is};
            $data{registered_country} = {iso_code => $registered} if $registered;
        }
    }
    $tree->insert_network($network, \%data);
}

open my $out, '>:raw', $file or die "$file: $!\n";
$tree->write_tree($out);
close $out or die "$file: $!\n";
