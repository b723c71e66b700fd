# Airflow with Welkin Calendar Sync in it: one image for every component of docker-compose.yaml.
FROM apache/airflow:3.3.2-python3.12

WORKDIR /opt/calendar-sync

# The image comes without bytecode: every process of every new container would compile Airflow anew.
RUN python -m compileall -q -j 0 "$(python -c \
    'import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec("airflow").origin).parents[1])')"

COPY --chown=airflow:root pyproject.toml README.md LICENSE ./
# Without the sandbox: made-up servers have no place beside real ones.
COPY --chown=airflow:root include/calendar_sync ./include/calendar_sync
COPY --chown=airflow:root docs ./docs
# What the image has stays as it is: other versions (those of requirements.txt) break its providers, such
# as the sign-in of FAB. What is missing is added.
RUN pip list --format=freeze > /tmp/own.txt && \
    pip install --no-cache-dir --constraint /tmp/own.txt ".[google,microsoft]"

# Tasks begin with their imports done (docs/operations.md, Speed).
RUN mkdir -p ${AIRFLOW_HOME}/config && \
    echo "import calendar_sync.orchestration.preload" > ${AIRFLOW_HOME}/config/airflow_local_settings.py

COPY --chown=airflow:root config ./config
COPY --chown=airflow:root dags ${AIRFLOW_HOME}/dags
COPY --chown=airflow:root plugins ${AIRFLOW_HOME}/plugins

WORKDIR ${AIRFLOW_HOME}
