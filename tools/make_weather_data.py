"""Make the data of `thuja demo life`, thuja/demo/weather.zip, from the weather table of the NOAA stream (public domain): the same rows, their columns named.

    python tools/make_weather_data.py PATH_OF_WEATHER_CSV

The zip holds weather.csv and a notice. Rows are days in order; the table has no dates.
"""

import csv
import io
import sys
import zipfile
from pathlib import Path

NAMES = ("temperature", "dew_point", "pressure", "visibility", "wind", "wind_most", "warmest", "coldest", "rain")
NOTICE = """Daily weather at Offutt Air Force Base, Bellevue, Nebraska, 1949 to 1999: 18,159 days in order, days with gaps in their records left out.

From the Global Surface Summary of the Day of the National Oceanic and Atmospheric Administration (NOAA), USA, a work of the US government in the
public domain; prepared as a stream for the study of concept drift by R. Elwell and R. Polikar, "Incremental learning of concept drift in nonstationary
environments", IEEE Transactions on Neural Networks 22 (2011). Units as recorded there: degrees Fahrenheit, millibars, miles, knots.
"""


def main(table: Path, out: Path) -> None:
    with table.open(encoding="utf-8", newline="") as file:
        _, *rows = list(csv.reader(file))
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow(NAMES)
    write.writerows([*row[:-1], "rain" if row[-1] == "1" else "dry"] for row in rows)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in (("weather.csv", text.getvalue()), ("NOTICE", NOTICE)):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)  # ZipInfo: no time, so that it is made the same again


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parents[1] / "thuja" / "demo" / "weather.zip")
