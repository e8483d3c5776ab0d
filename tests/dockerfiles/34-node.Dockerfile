FROM node:22-alpine AS assets
WORKDIR /build
COPY package.json ./
RUN npm ci
COPY web ./web
RUN npm run build

FROM nginx:1
COPY conf/nginx.conf /etc/nginx/conf.d/default.conf
COPY --from=assets /build/dist /usr/share/nginx/html
EXPOSE 80
